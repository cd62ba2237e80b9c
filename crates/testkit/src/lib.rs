//! tiffin-testkit
