//! tiffin-graphql-transport
