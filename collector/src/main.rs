//! The program. Only hands the command line over; see `collector::cli`.

#![forbid(unsafe_code)]

use std::process::ExitCode;

/// The data path allocates a few large buffers a batch; mimalloc hands them from thread to thread at little cost.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    collector::cli::main(std::env::args_os()).into()
}
