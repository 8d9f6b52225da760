//! Names an owner: the component's section of the grant, and the embedder's tenant.

use std::sync::Arc;

/// Names an owner within its registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OwnerKey {
    pub(crate) component: Arc<str>,
    pub(crate) tenant: Arc<str>,
}

impl OwnerKey {
    pub(crate) fn new(component: &str, tenant: &str) -> Self {
        Self {
            component: component.into(),
            tenant: tenant.into(),
        }
    }
}
