//! Training states by content: a blob's name is the digest of its bytes, so that it is either whole or nobody's.

use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::TryStreamExt as _;
use object_store::local::LocalFileSystem;
use object_store::path::Path as Key;
use object_store::{ObjectStore, ObjectStoreExt as _};
use syngrad_engine::Digest;
use syngrad_engine::digest::Domain;
use tokio::runtime::Builder;

use super::{StoreError, folder};

/// The blobs of one folder. For threads that may wait.
#[derive(Debug)]
pub(crate) struct Blobs {
    objects: Arc<dyn ObjectStore>,
}

impl Blobs {
    /// The blobs in the folder `at`, which is made if it is not there.
    pub(crate) fn open(at: &Path) -> Result<Self, StoreError> {
        let making = format!("making {}", at.display());
        folder::make(at).map_err(|why| StoreError::io(&making, &why))?;
        let objects = LocalFileSystem::new_with_prefix(at).map_err(|why| failed("opening the blobs", &why))?;
        Ok(Self { objects: Arc::new(objects.with_fsync(true)) })
    }

    /// Keeps bytes durably; the digest to find them by.
    pub(crate) fn put(&self, bytes: Bytes) -> Result<Digest, StoreError> {
        let digest = Digest::of(Domain::Blob, &bytes);
        let key = key(&digest);
        wait(&format!("writing the blob {key}"), self.objects.put(&key, bytes.into()))?;
        Ok(digest)
    }

    /// The bytes with `digest`, checked.
    pub(crate) fn get(&self, digest: Digest) -> Result<Vec<u8>, StoreError> {
        let key = key(&digest);
        let read = async { self.objects.get(&key).await?.bytes().await };
        let bytes = wait(&format!("reading the blob {key}"), read)?;
        match Digest::of(Domain::Blob, &bytes) == digest {
            true => Ok(bytes.into()),
            false => Err(StoreError::Damaged { what: format!("the blob {digest} is damaged: its bytes are others") }),
        }
    }

    /// All blobs there are.
    pub(crate) fn all(&self) -> Result<Vec<Digest>, StoreError> {
        let objects = self.objects.list(None).try_collect::<Vec<_>>();
        let objects = wait("listing the blobs", objects)?;
        Ok(objects.iter().filter_map(|object| Digest::from_hex(object.location.filename()?)).collect())
    }

    /// Deletes a blob that nothing names any more. One that stays costs room and nothing else.
    pub(crate) fn forget(&self, digest: Digest) {
        if let Err(why) = wait("deleting a blob", self.objects.delete(&key(&digest))) {
            tracing::debug!(%digest, %why, "a blob was not deleted");
        }
    }
}

fn key(digest: &Digest) -> Key {
    let name = digest.to_string();
    Key::from_iter([&name[..2], name.as_str()])
}

/// Waits for an operation on this thread, which no other work may be waiting for. The runtime lives as long as the
/// operation: one that is held could be dropped where that is not allowed.
fn wait<T>(doing: &str, operation: impl Future<Output = object_store::Result<T>>) -> Result<T, StoreError> {
    let runtime = Builder::new_current_thread().build().map_err(|why| StoreError::io(doing, &why))?;
    runtime.block_on(operation).map_err(|why| failed(doing, &why))
}

fn failed(doing: &str, why: &object_store::Error) -> StoreError {
    if let object_store::Error::NotFound { path, .. } = why {
        return StoreError::Damaged { what: format!("the blob {path} is missing") };
    }
    let mut cause: &dyn std::error::Error = why;
    while let Some(deeper) = cause.source() {
        if let Some(io) = deeper.downcast_ref::<std::io::Error>() {
            return StoreError::io(doing, io);
        }
        cause = deeper;
    }
    StoreError::Io { doing: doing.to_owned(), why: why.to_string() }
}
