//! The grammar's tests: what is accepted, what trees come out, what is said about the rest, and what holds for any text.

// `cfg(test)` holds anyway; it tells clippy that helpers are test code too.
#[cfg(test)]
mod files;
#[cfg(test)]
mod generate;
#[cfg(test)]
mod language;
#[cfg(test)]
mod limits;
#[cfg(test)]
mod properties;
