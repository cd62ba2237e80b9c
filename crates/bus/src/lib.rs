//! tiffin-bus
