//! tiffin-graphql
