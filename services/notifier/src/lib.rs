//! tiffin-notifier
