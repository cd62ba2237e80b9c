//! tiffin-eventstore
