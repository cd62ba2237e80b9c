//! tiffin-runtime
