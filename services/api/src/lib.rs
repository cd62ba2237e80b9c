//! tiffin-api
