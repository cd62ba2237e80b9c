//! TLS for clients that insist on it.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    },
};

use crate::Error;

/// Reads a certificate chain and its private key, both in PEM.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let refused =
        |path: &Path, reason: &dyn std::fmt::Display| Error::Tls(format!("{}: {reason}", path.display()));
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|reason| refused(certificate, &reason))?;
    let secret = PrivateKeyDer::from_pem_file(key).map_err(|reason| refused(key, &reason))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|reason| refused(certificate, &reason))?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}
