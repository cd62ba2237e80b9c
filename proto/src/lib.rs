//! tiffin-proto
