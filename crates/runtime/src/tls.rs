//! TLS for clients that insist on it.

use std::{path::Path, sync::Arc};

use tokio_rustls::{
    TlsAcceptor,
    rustls::{
        ServerConfig,
        crypto::aws_lc_rs,
        pki_types::{
            CertificateDer, PrivateKeyDer,
            pem::{Error as PemError, PemObject},
        },
    },
};

use crate::Error;

/// Reads a certificate chain and its private key, both in PEM.
pub(crate) fn acceptor(certificate: &Path, key: &Path) -> Result<TlsAcceptor, Error> {
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .and_then(|chain| {
            if chain.is_empty() {
                Err(PemError::NoItemsFound)
            } else {
                Ok(chain)
            }
        })
        .map_err(|reason| unusable("TIFFIN_TLS_CERT", certificate, "certificate", &reason))?;
    let secret = PrivateKeyDer::from_pem_file(key)
        .map_err(|reason| unusable("TIFFIN_TLS_KEY", key, "private key", &reason))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret))
        .map_err(|reason| {
            let pair = format!("{} with the key {}", certificate.display(), key.display());
            Error::setting("TIFFIN_TLS_CERT", format_args!("cannot use {pair}: {reason}"))
        })?;
    Ok(TlsAcceptor::from(Arc::new(config)))
}

fn unusable(setting: &str, path: &Path, expected: &str, reason: &PemError) -> Error {
    let file = path.display();
    match reason {
        PemError::NoItemsFound => {
            Error::setting(setting, format_args!("there is no {expected} in PEM in {file}"))
        }
        PemError::Io(cause) => Error::setting(setting, format_args!("cannot read {file}: {cause}")),
        _ => Error::setting(setting, format_args!("{file}: {reason}")),
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, time::Duration};

    use axum::{Router, routing::get};
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpStream,
    };
    use tokio_rustls::{
        TlsConnector,
        rustls::{ClientConfig, RootCertStore, pki_types::ServerName},
    };

    use super::*;
    use crate::{HttpServer, HttpSettings, Lifecycle};

    #[tokio::test]
    async fn with_a_certificate_tls_is_spoken() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let settings = HttpSettings {
            listen: ([127, 0, 0, 1], 0).into(),
            max_connections: 10,
            tls_cert: Some(certificate),
            tls_key: Some(key),
        };
        let lifecycle = Lifecycle::new(Duration::from_secs(1));
        let server = HttpServer::bind(&settings).unwrap();
        let address = server.address().unwrap();
        server.serve(Router::new().route("/", get(async || "done")), &lifecycle);

        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await.unwrap();
        let mut stream = TlsConnector::from(Arc::new(config))
            .connect(name, stream)
            .await
            .unwrap();
        stream
            .write_all(b"GET / HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n")
            .await
            .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.ends_with("done"), "{answer}");
    }

    #[test]
    fn a_file_that_is_not_what_it_should_be_is_named_with_its_setting() {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let (certificate, key) = (folder.path().join("certificate"), folder.path().join("key"));
        fs::write(&certificate, made.cert.pem()).unwrap();
        fs::write(&key, made.signing_key.serialize_pem()).unwrap();
        let refused = |certificate, key| acceptor(certificate, key).err().unwrap().to_string();
        for (said, expected) in [
            (
                refused(&key, &key),
                format!(
                    "TIFFIN_TLS_CERT: there is no certificate in PEM in {}",
                    key.display()
                ),
            ),
            (
                refused(&certificate, &certificate),
                format!(
                    "TIFFIN_TLS_KEY: there is no private key in PEM in {}",
                    certificate.display()
                ),
            ),
            (
                refused(Path::new("/nowhere"), &key),
                "TIFFIN_TLS_CERT: cannot read /nowhere: ".to_owned(),
            ),
        ] {
            assert!(said.starts_with(&expected), "{said}");
        }
    }
}
