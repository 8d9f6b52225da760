//! What one source file says about other modules: its items, imports and paths,
//! read by a parser. Code that only tests compile is left out.

use std::collections::BTreeSet;

use proc_macro2::{TokenStream, TokenTree};
use syn::punctuated::Punctuated;
use syn::visit::{self, Visit};
use syn::{Attribute, ForeignItem, Ident, Item, Meta, Token, UseTree, Visibility};

/// The segments of a path: `crate::grant::Grant` is `["crate", "grant", "Grant"]`.
pub(crate) type Path = Vec<String>;

/// A path in the code, and the line that it is on.
#[derive(Debug)]
pub(crate) struct Mention {
    pub(crate) path: Path,
    pub(crate) line: usize,
}

/// One name that a `use` brings into a module.
#[derive(Debug)]
pub(crate) struct Import {
    /// The name in this module: `as` may have changed it; `_` where it has none.
    pub(crate) name: String,
    pub(crate) target: Mention,
    /// Whether other modules can see the name: `pub use`, `pub(crate) use`.
    pub(crate) is_reexport: bool,
}

/// A `mod` in a module.
#[derive(Debug)]
pub(crate) struct Declaration {
    pub(crate) name: String,
    /// The value of its `#[path]` attribute.
    pub(crate) path_attribute: Option<String>,
    /// The module's text, where it is written in braces.
    pub(crate) inline: Option<Text>,
}

/// The text of one module.
#[derive(Debug, Default)]
pub(crate) struct Text {
    /// The names that the module defines.
    pub(crate) items: BTreeSet<String>,
    pub(crate) imports: Vec<Import>,
    /// The modules of `use MODULE::*`.
    pub(crate) globs: Vec<Path>,
    pub(crate) mentions: Vec<Mention>,
    pub(crate) modules: Vec<Declaration>,
}

impl Text {
    pub(crate) fn of(items: &[Item]) -> Self {
        let mut text = Self::default();
        for item in items {
            text.define(item);
            text.visit_item(item);
        }
        text
    }

    /// Adds what `item` defines in the module.
    fn define(&mut self, item: &Item) {
        if is_for_tests(attributes(item)) {
            return;
        }
        let name = match item {
            Item::Const(item) => &item.ident,
            Item::Enum(item) => &item.ident,
            Item::Fn(item) => &item.sig.ident,
            Item::Static(item) => &item.ident,
            Item::Struct(item) => &item.ident,
            Item::Trait(item) => &item.ident,
            Item::Type(item) => &item.ident,
            Item::Union(item) => &item.ident,
            Item::Macro(item) => match &item.ident {
                Some(name) => name,
                None => return,
            },
            Item::ForeignMod(item) => {
                let names = item.items.iter().filter_map(foreign_name);
                self.items.extend(names.map(Ident::to_string));
                return;
            }
            Item::Mod(item) => {
                self.modules.push(Declaration {
                    name: item.ident.to_string(),
                    path_attribute: path_attribute(&item.attrs),
                    inline: item.content.as_ref().map(|(_, items)| Self::of(items)),
                });
                return;
            }
            _ => return,
        };
        self.items.insert(name.to_string());
    }

    /// Adds the names that a `use` brings, with `prefix` before each path.
    fn import(&mut self, tree: &UseTree, prefix: &[String], is_reexport: bool) {
        let joined = |name: &Ident| [prefix, &[name.to_string()]].concat();
        let (name, path, line) = match tree {
            UseTree::Path(tree) => {
                return self.import(&tree.tree, &joined(&tree.ident), is_reexport);
            }
            UseTree::Group(group) => {
                for tree in &group.items {
                    self.import(tree, prefix, is_reexport);
                }
                return;
            }
            UseTree::Glob(_) => return self.globs.push(prefix.to_vec()),
            UseTree::Name(it) => (&it.ident, joined(&it.ident), line(&it.ident)),
            UseTree::Rename(it) => (&it.rename, joined(&it.ident), line(&it.ident)),
        };
        // `use grant::{self}` brings `grant`.
        let (name, path) = match path.as_slice() {
            [rest @ .., parent, last] if last == "self" => {
                let name = if name == "self" { parent } else { last };
                (name.clone(), [rest, std::slice::from_ref(parent)].concat())
            }
            _ => (name.to_string(), path),
        };
        self.imports.push(Import {
            name,
            target: Mention { path, line },
            is_reexport,
        });
    }

    /// Adds the paths among the tokens of a macro's call or definition.
    fn scan(&mut self, tokens: TokenStream) {
        let tokens: Vec<_> = tokens.into_iter().collect();
        let is_punct = |at: usize, wanted: char| matches!(tokens.get(at), Some(TokenTree::Punct(it)) if it.as_char() == wanted);
        let mut at = 0;
        while at < tokens.len() {
            match &tokens[at] {
                TokenTree::Group(group) => self.scan(group.stream()),
                TokenTree::Ident(first) => {
                    let begins = at == 0 || !(is_punct(at - 1, '.') || is_punct(at - 1, ':'));
                    let line = line(first);
                    let mut path = vec![first.to_string()];
                    while is_punct(at + 1, ':')
                        && is_punct(at + 2, ':')
                        && let Some(TokenTree::Ident(next)) = tokens.get(at + 3)
                    {
                        path.push(next.to_string());
                        at += 3;
                    }
                    // After a dot it is a field or a method, after a colon a type's name.
                    if begins || path.len() > 1 {
                        self.mentions.push(Mention { path, line });
                    }
                }
                _ => {}
            }
            at += 1;
        }
    }
}

impl<'ast> Visit<'ast> for Text {
    fn visit_item(&mut self, item: &'ast Item) {
        match item {
            _ if is_for_tests(attributes(item)) => {}
            // Read by `define`.
            Item::Mod(_) => {}
            // Names another crate.
            Item::Use(item) if item.leading_colon.is_some() => {}
            Item::Use(item) => {
                let is_reexport = !matches!(item.vis, Visibility::Inherited);
                self.import(&item.tree, &[], is_reexport);
            }
            _ => visit::visit_item(self, item),
        }
    }

    fn visit_impl_item_fn(&mut self, function: &'ast syn::ImplItemFn) {
        if !is_for_tests(&function.attrs) {
            visit::visit_impl_item_fn(self, function);
        }
    }

    fn visit_field(&mut self, field: &'ast syn::Field) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field(self, field);
        }
    }

    fn visit_field_value(&mut self, field: &'ast syn::FieldValue) {
        if !is_for_tests(&field.attrs) {
            visit::visit_field_value(self, field);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        if path.leading_colon.is_none() {
            let segments = path.segments.iter();
            self.mentions.push(Mention {
                path: segments.map(|it| it.ident.to_string()).collect(),
                line: line(&path.segments[0].ident),
            });
        }
        visit::visit_path(self, path);
    }

    fn visit_macro(&mut self, call: &'ast syn::Macro) {
        self.visit_path(&call.path);
        self.scan(call.tokens.clone());
    }

    /// `pub(in PATH)` says who may use an item, and uses nothing.
    fn visit_visibility(&mut self, _: &'ast Visibility) {}

    fn visit_attribute(&mut self, _: &'ast Attribute) {}
}

fn line(name: &Ident) -> usize {
    name.span().start().line
}

fn attributes(item: &Item) -> &[Attribute] {
    match item {
        Item::Const(item) => &item.attrs,
        Item::Enum(item) => &item.attrs,
        Item::Fn(item) => &item.attrs,
        Item::ForeignMod(item) => &item.attrs,
        Item::Impl(item) => &item.attrs,
        Item::Macro(item) => &item.attrs,
        Item::Mod(item) => &item.attrs,
        Item::Static(item) => &item.attrs,
        Item::Struct(item) => &item.attrs,
        Item::Trait(item) => &item.attrs,
        Item::Type(item) => &item.attrs,
        Item::Union(item) => &item.attrs,
        Item::Use(item) => &item.attrs,
        _ => &[],
    }
}

fn foreign_name(item: &ForeignItem) -> Option<&Ident> {
    match item {
        ForeignItem::Fn(item) => Some(&item.sig.ident),
        ForeignItem::Static(item) => Some(&item.ident),
        ForeignItem::Type(item) => Some(&item.ident),
        _ => None,
    }
}

fn path_attribute(attributes: &[Attribute]) -> Option<String> {
    let attribute = attributes.iter().find(|it| it.path().is_ident("path"))?;
    let value = &attribute.meta.require_name_value().ok()?.value;
    let syn::Expr::Lit(literal) = value else {
        return None;
    };
    match &literal.lit {
        syn::Lit::Str(text) => Some(text.value()),
        _ => None,
    }
}

/// Whether only a test's build has what these attributes are on.
fn is_for_tests(attributes: &[Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        attribute.path().is_ident("test")
            || attribute.path().is_ident("cfg")
                && attribute
                    .parse_args::<Meta>()
                    .is_ok_and(|condition| implies_test(&condition))
    })
}

fn implies_test(condition: &Meta) -> bool {
    let Meta::List(list) = condition else {
        return condition.path().is_ident("test") || condition.path().is_ident("doctest");
    };
    let parts = list.parse_args_with(Punctuated::<Meta, Token![,]>::parse_terminated);
    let Ok(parts) = parts else { return false };
    if list.path.is_ident("all") {
        parts.iter().any(implies_test)
    } else {
        list.path.is_ident("any") && parts.iter().all(implies_test)
    }
}
