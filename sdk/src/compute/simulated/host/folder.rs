//! What lies where in a host's folder.

use std::{
    fs::{self, DirBuilder, File, OpenOptions},
    io,
    os::{
        fd::AsRawFd,
        unix::{
            fs::{DirBuilderExt, MetadataExt, OpenOptionsExt},
            net::{UnixListener, UnixStream},
        },
    },
    path::{Path, PathBuf},
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
};

/// The folder of one host. Nobody but its user gets in.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

/// Held by the host as long as it lives.
#[derive(Debug)]
pub(super) struct Lock {
    path: PathBuf,
    file: File,
}

impl Folder {
    pub(super) fn new(path: &Path) -> io::Result<Folder> {
        Ok(Folder { path: std::path::absolute(path)? })
    }

    pub(super) fn create(&self) -> io::Result<()> {
        for folder in [self.private(), self.records(), self.logs()] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(())
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// One file for each job.
    pub(super) fn records(&self) -> PathBuf {
        self.private().join("jobs")
    }

    /// One file for each attempt that has printed anything.
    pub(super) fn logs(&self) -> PathBuf {
        self.path.join("logs")
    }

    /// What the host itself has to say.
    pub(super) fn host_log(&self) -> PathBuf {
        self.private().join("host.log")
    }

    /// The right to be the host; `None` if another has it.
    pub(super) fn lock(&self) -> io::Result<Option<Lock>> {
        let path = self.private().join("lock");
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(Lock { path, file })),
            Err(Errno::WOULDBLOCK) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    pub(super) fn listen(&self, _lock: &Lock) -> io::Result<UnixListener> {
        self.unlink_socket()?;
        self.at_socket(|socket| UnixListener::bind(socket))
    }

    pub(super) fn connect(&self) -> io::Result<UnixStream> {
        self.at_socket(|socket| UnixStream::connect(socket))
    }

    pub(super) fn unlink_socket(&self) -> io::Result<()> {
        match fs::remove_file(self.private().join(SOCKET)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// By way of the open folder: a socket's address has room for 108 bytes, a path for 4096.
    fn at_socket<T>(&self, act: impl FnOnce(&Path) -> io::Result<T>) -> io::Result<T> {
        let folder = File::open(self.private())?;
        act(&Path::new("/proc/self/fd").join(folder.as_raw_fd().to_string()).join(SOCKET))
    }

    fn private(&self) -> PathBuf {
        self.path.join("batch")
    }
}

const SOCKET: &str = "socket";

impl Lock {
    /// Whether the file that is locked is still the one that others would lock: not if somebody has removed the folder.
    pub(super) fn holds(&self) -> bool {
        let identity = |metadata: fs::Metadata| (metadata.dev(), metadata.ino());
        let (ours, theirs) = (self.file.metadata().map(identity), fs::metadata(&self.path).map(identity));
        ours.ok() == theirs.ok()
    }
}
