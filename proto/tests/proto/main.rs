//! The wire as its readers see it.

#[cfg(test)]
mod codec;
#[cfg(test)]
mod golden;
#[cfg(test)]
mod json;
#[cfg(test)]
mod life;
#[cfg(test)]
mod published;
#[cfg(test)]
mod samples;
