//! One object in its file: a header, then the body.

use std::{
    fs::{File, OpenOptions},
    io::{self, ErrorKind, Read, Seek, SeekFrom, Write},
    ops::Range,
    os::unix::fs::OpenOptionsExt,
    path::Path,
};

use bytes::Bytes;

use crate::store::{WriteId, check};

const MAGIC: [u8; 4] = *b"CLDO";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 32;

/// Writes an object to a new file, durably.
pub(super) fn write_new(path: &Path, body: &[u8], id: WriteId) -> io::Result<()> {
    let mut header = [0; HEADER_BYTES];
    header[..4].copy_from_slice(&MAGIC);
    header[4..8].copy_from_slice(&VERSION.to_le_bytes());
    header[8..24].copy_from_slice(&id.0.to_le_bytes());
    header[24..].copy_from_slice(&(body.len() as u64).to_le_bytes());

    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(&header)?;
    file.write_all(body)?;
    file.sync_all()
}

/// An object's file, found to be one and whole.
pub(super) struct ObjectFile {
    file: File,
    pub(super) id: WriteId,
    length: u64,
}

impl ObjectFile {
    /// `None` if there is no such object. What is not one, or is cut short, is [`ErrorKind::InvalidData`].
    pub(super) fn open(path: &Path) -> io::Result<Option<ObjectFile>> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let metadata = file.metadata()?;
        if !metadata.is_file() || metadata.len() < HEADER_BYTES as u64 {
            return Err(damaged(path, "has no header"));
        }
        let mut header = [0; HEADER_BYTES];
        file.read_exact(&mut header)?;
        if header[..4] != MAGIC {
            return Err(damaged(path, "is not an object of a store"));
        }
        let version = u32::from_le_bytes(part(&header, 4));
        if version != VERSION {
            let what = format!("has layout {version}, and this program knows {VERSION}");
            return Err(damaged(path, &what));
        }
        let length = u64::from_le_bytes(part(&header, 24));
        let there = metadata.len() - HEADER_BYTES as u64;
        if length != there {
            return Err(damaged(path, &format!("has {there} bytes of {length}")));
        }
        Ok(Some(ObjectFile { file, id: WriteId(u128::from_le_bytes(part(&header, 8))), length }))
    }

    /// The body, or what lies in `range` of it.
    pub(super) fn read(mut self, range: Option<Range<u64>>) -> io::Result<Bytes> {
        let range = check::within(range, self.length);
        let length = range.end - range.start;
        self.file.seek(SeekFrom::Start(HEADER_BYTES as u64 + range.start))?;
        let mut bytes = Vec::with_capacity(length as usize);
        self.file.take(length).read_to_end(&mut bytes)?;
        if bytes.len() as u64 != length {
            return Err(io::Error::new(ErrorKind::InvalidData, "its file was cut while it was read"));
        }
        Ok(Bytes::from(bytes))
    }
}

fn part<const N: usize>(header: &[u8; HEADER_BYTES], at: usize) -> [u8; N] {
    std::array::from_fn(|i| header[at + i])
}

fn damaged(path: &Path, what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("its file `{}` {what}", path.display()))
}
