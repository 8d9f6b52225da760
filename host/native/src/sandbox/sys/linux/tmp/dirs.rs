//! The directories of all guests.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use parking_lot::Mutex;

use super::base::Base;
use super::guest::GuestTmp;
use crate::launch::Scope;

/// The variable that names the directory.
pub(crate) const VARIABLE: &str = "TMPDIR";

/// The temporary directories of a launcher's guests.
#[derive(Debug, Default)]
pub(crate) struct TmpDirs {
    base: Mutex<Option<Arc<Base>>>,
    guests: Mutex<HashMap<Scope, Arc<GuestTmp>>>,
}

impl TmpDirs {
    /// Returns the directory of the guest `scope`, for children whose group is `group`, or whose
    /// user is the host's own. It is made if there is none, or if somebody has removed it.
    ///
    /// # Errors
    ///
    /// No directory can be made that children could reach.
    pub(crate) fn get(&self, scope: Scope, group: Option<u32>) -> io::Result<Arc<GuestTmp>> {
        let found = self.guests.lock().get(&scope).map(Arc::clone);
        if let Some(found) = found
            && found.exists()
        {
            return Ok(found);
        }
        let base = self.base(group)?;
        let made = Arc::new(GuestTmp::make(&base, group)?);
        // Two first launches at once make one too many, which only the child of one of them has.
        self.guests.lock().insert(scope, Arc::clone(&made));
        Ok(made)
    }

    /// Forgets the directory of a guest, and returns it. It is removed with the guest's last child.
    pub(crate) fn close(&self, scope: Scope) -> Option<Arc<GuestTmp>> {
        self.guests.lock().remove(&scope)
    }

    fn base(&self, group: Option<u32>) -> io::Result<Arc<Base>> {
        let mut base = self.base.lock();
        if let Some(base) = &*base
            && base.exists()
        {
            return Ok(Arc::clone(base));
        }
        let made = Arc::new(Base::find(group.is_some())?);
        *base = Some(Arc::clone(&made));
        Ok(made)
    }
}
