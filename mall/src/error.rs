//! Why a service could not be opened.

use std::io;

/// What keeps a service from starting: the environment, in every case.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// Its database could not be opened, brought up to date or seeded. Mend the disk and start again.
    #[error(transparent)]
    Store(#[from] events::Error),
    /// Its keys cannot be had: see [`sessions::NoKeys`].
    #[error(transparent)]
    Keys(#[from] sessions::NoKeys),
    /// Its folder could not be made. Mend the folder's rights.
    #[error("the service's folder cannot be used. what=`{what}`, cause=`{source}`")]
    Folder {
        /// Which part of it.
        what: &'static str,
        /// The operating system's word.
        #[source]
        source: io::Error,
    },
}

impl Error {
    pub(crate) fn folder(what: &'static str) -> impl FnOnce(io::Error) -> Error {
        move |source| Error::Folder { what, source }
    }
}
