//! The core as its users see it.

#[cfg(test)]
mod decisions;
#[cfg(test)]
mod history;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod saga_toml;
#[cfg(test)]
mod timelines;
