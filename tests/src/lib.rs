//! tiffin-tests
