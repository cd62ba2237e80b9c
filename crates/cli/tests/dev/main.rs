//! `tiffin dev` as a process: it comes up, heals, and leaves nothing behind.

#[cfg(test)]
mod ends;
#[cfg(test)]
mod events;
#[cfg(test)]
mod orders;
#[cfg(test)]
mod republish;
#[cfg(test)]
mod running;
#[cfg(test)]
mod starts;
