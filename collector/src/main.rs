//! The program. Only hands the command line over; see `collector::cli`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The data path allocates a few large buffers a batch, and kept traces leave in bursts, once a second. jemalloc uses what
/// was freed again for ten seconds, the lowest addresses first, which are still in a cache; each page that would be given
/// back and taken anew in between is cleared by the kernel.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    collector::cli::main(std::env::args_os()).into()
}
