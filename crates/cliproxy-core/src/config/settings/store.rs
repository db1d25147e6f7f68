//! Which store keeps configuration and credentials. Only the environment decides.

use std::path::PathBuf;

use crate::env::{self, Env};
use crate::secret::Secret;

/// The store, in order of precedence.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Store {
    /// Files of this machine.
    #[default]
    File,
    /// Tables of a Postgres database.
    Postgres {
        /// Connection string.
        dsn: Secret,
        /// Schema of the tables.
        schema: Option<String>,
        /// Base directory of the local mirror.
        mirror: Option<PathBuf>,
    },
    /// A bucket of an object store.
    Object {
        /// Address.
        endpoint: String,
        /// Access key.
        access_key: Secret,
        /// Secret key.
        secret_key: Secret,
        /// Bucket.
        bucket: String,
        /// Base directory of the local mirror.
        mirror: Option<PathBuf>,
    },
    /// A git repository.
    Git {
        /// Address of the repository; may hold a password.
        url: Secret,
        /// User name.
        username: Option<String>,
        /// Token.
        token: Option<Secret>,
        /// Branch.
        branch: Option<String>,
        /// Base directory of the local mirror.
        mirror: Option<PathBuf>,
    },
}

impl Store {
    /// Reads the choice.
    pub fn from_env(env: &dyn Env) -> Self {
        let mirror = |name: &str| env.get(name).or_else(|| env.get(env::WRITABLE_PATH)).map(PathBuf::from);
        if let Some(dsn) = env.get(env::PGSTORE_DSN) {
            return Self::Postgres {
                dsn: Secret::from(dsn),
                schema: env.get(env::PGSTORE_SCHEMA),
                mirror: mirror(env::PGSTORE_LOCAL_PATH),
            };
        }
        if let Some(endpoint) = env.get(env::OBJECTSTORE_ENDPOINT) {
            let secret = |name: &str| Secret::from(env.get(name).unwrap_or_default());
            return Self::Object {
                endpoint,
                access_key: secret(env::OBJECTSTORE_ACCESS_KEY),
                secret_key: secret(env::OBJECTSTORE_SECRET_KEY),
                bucket: env.get(env::OBJECTSTORE_BUCKET).unwrap_or_default(),
                mirror: mirror(env::OBJECTSTORE_LOCAL_PATH),
            };
        }
        if let Some(url) = env.get(env::GITSTORE_GIT_URL) {
            return Self::Git {
                url: Secret::from(url),
                username: env.get(env::GITSTORE_GIT_USERNAME),
                token: env.get(env::GITSTORE_GIT_TOKEN).map(Secret::from),
                branch: env.get(env::GITSTORE_GIT_BRANCH),
                mirror: mirror(env::GITSTORE_LOCAL_PATH),
            };
        }
        Self::File
    }

    /// Name for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Postgres { .. } => "postgres",
            Self::Object { .. } => "object",
            Self::Git { .. } => "git",
        }
    }
}
