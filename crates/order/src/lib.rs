//! tiffin-order
