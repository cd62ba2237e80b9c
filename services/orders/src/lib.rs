//! tiffin-orders
