//! Names an owner: the component's section of the grant, and the embedder's tenant.

use std::sync::Arc;

/// Names an owner within its registry.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct OwnerKey {
    component: Arc<str>,
    tenant: Arc<str>,
}

impl OwnerKey {
    pub(crate) fn new(component: &str, tenant: &str) -> Self {
        Self {
            component: component.into(),
            tenant: tenant.into(),
        }
    }

    /// The component's section of the grant.
    pub(crate) fn component(&self) -> &Arc<str> {
        &self.component
    }

    /// The embedder's tenant.
    pub(crate) fn tenant(&self) -> &Arc<str> {
        &self.tenant
    }
}
