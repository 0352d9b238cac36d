//! What OTTL converters take from outside: the time of day and randomness.

use std::sync::Arc;

use component::Clock;

/// A host that reads `clock`; random bytes come from the operating system.
#[must_use]
pub(crate) fn host(clock: Arc<dyn Clock>) -> ottl::Host {
    ottl::Host {
        clock: Some(Arc::new(move || i64::try_from(clock.unix_nano()).unwrap_or(i64::MAX))),
        random: Some(Arc::new(|buf| {
            // The last six bytes of a version 4 UUID are random throughout.
            for chunk in buf.chunks_mut(6) {
                let uuid = uuid::Uuid::new_v4().into_bytes();
                for (byte, random) in chunk.iter_mut().zip(&uuid[10..]) {
                    *byte = *random;
                }
            }
        })),
        ..ottl::Host::default()
    }
}
