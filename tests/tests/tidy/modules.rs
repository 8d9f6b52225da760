//! The modules of one crate, and which file a path leads to.
//!
//! rustc knows this exactly, and tells nobody; the parser's view is enough for
//! paths. It does not see method calls: which file a method is in depends on types.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::{self, Display};
use std::path::{Component, Path as FilePath, PathBuf};

use crate::reader::{Mention, Path, Text};

/// Source files: the path in the repository, and the text.
pub(crate) type Sources = BTreeMap<String, String>;

/// The index of a module in [`Crate::modules`].
type Id = usize;

/// The crate's root module.
const ROOT: Id = 0;

/// A crate, without what only tests compile.
pub(crate) struct Crate {
    /// The folder of the crate's root file.
    pub(crate) folder: String,
    modules: Vec<Module>,
}

struct Module {
    /// The names of the modules above it and its own; empty for the root.
    path: Path,
    /// The file that has its text.
    file: String,
    parent: Id,
    /// A name has two modules where each is for another platform.
    children: BTreeMap<String, Vec<Id>>,
    text: Text,
    /// Whether its file is the one that a `#[path]` attribute names.
    is_moved: bool,
}

/// A file uses another: the first line that shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Arrow {
    pub(crate) user: String,
    pub(crate) used: String,
    pub(crate) line: usize,
    /// The path as it is written.
    pub(crate) path: String,
}

impl Display for Arrow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            user,
            used,
            line,
            path,
        } = self;
        write!(f, "{user}:{line}: `{path}` of {used}")
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Target {
    Module(Id),
    /// An item of this module.
    Item(Id),
}

impl Crate {
    /// Reads the crate whose root is the file `root`.
    ///
    /// # Panics
    ///
    /// A file does not parse, or a module has no file.
    pub(crate) fn load(root: &str, sources: &Sources) -> Self {
        let folder = FilePath::new(root).parent().expect("a file has a folder");
        let mut loaded = Self {
            folder: text(folder),
            modules: Vec::new(),
        };
        let module = Module::new(Vec::new(), root, ROOT, sources);
        loaded.add(module, folder, sources);
        loaded
    }

    /// Adds a module and, below `folder`, its children.
    fn add(&mut self, mut module: Module, folder: &FilePath, sources: &Sources) -> Id {
        let id = self.modules.len();
        let declarations = std::mem::take(&mut module.text.modules);
        let (path, file) = (module.path.clone(), module.file.clone());
        self.modules.push(module);
        for declared in declarations {
            let name = declared.name;
            let path = [&path[..], std::slice::from_ref(&name)].concat();
            let below = folder.join(&name);
            let child = if let Some(inline) = declared.inline {
                let module = Module {
                    file: file.clone(),
                    ..Module::empty(path, id, inline)
                };
                self.add(module, &below, sources)
            } else if let Some(written) = declared.path_attribute {
                let parent = FilePath::new(&file).parent().expect("a file has a folder");
                let file = normal(&parent.join(written));
                let mut module = Module::new(path, &file, id, sources);
                module.is_moved = true;
                let folder = FilePath::new(&file).parent().expect("a file has a folder");
                self.add(module, folder, sources)
            } else {
                let files = [below.with_extension("rs"), below.join("mod.rs")].map(|it| text(&it));
                let found = files.iter().find(|it| sources.contains_key(*it));
                let found = found.unwrap_or_else(|| panic!("{file}: `mod {name}` has no file"));
                self.add(Module::new(path, found, id, sources), &below, sources)
            };
            let children = &mut self.modules[id].children;
            children.entry(name).or_default().push(child);
        }
        id
    }

    /// The path of the module that has the text of `file`.
    pub(crate) fn module_of(&self, file: &str) -> &[String] {
        let module = self.modules.iter().find(|module| module.file == file);
        &module.expect("the file is the crate's").path
    }

    /// The names of the modules right below the root.
    pub(crate) fn top_level(&self) -> impl Iterator<Item = &String> {
        self.modules[ROOT].children.keys()
    }

    /// The files that are read through a `#[path]` attribute.
    pub(crate) fn moved_files(&self) -> Vec<&str> {
        let moved = self.modules.iter().filter(|it| it.is_moved);
        moved.map(|module| module.file.as_str()).collect()
    }

    /// Which file uses which.
    pub(crate) fn arrows(&self) -> Vec<Arrow> {
        let mut arrows: BTreeMap<(String, String), Arrow> = BTreeMap::new();
        for (id, module) in self.modules.iter().enumerate() {
            let imports = module.text.imports.iter();
            // A name that is only passed on is not used here.
            let imports = imports.filter(|it| !it.is_reexport).map(|it| &it.target);
            for Mention { path, line } in imports.chain(&module.text.mentions) {
                for used in self.files(id, path) {
                    if used == module.file {
                        continue;
                    }
                    let arrow = Arrow {
                        user: module.file.clone(),
                        used: used.clone(),
                        line: *line,
                        path: path.join("::"),
                    };
                    let first = arrows.entry((module.file.clone(), used));
                    let first = first.or_insert_with(|| arrow.clone());
                    if arrow.line < first.line {
                        *first = arrow;
                    }
                }
            }
        }
        arrows.into_values().collect()
    }

    /// The files that define what a path of a module means.
    fn files(&self, from: Id, path: &[String]) -> BTreeSet<String> {
        let targets = self.resolve(from, path, &mut BTreeSet::new());
        let items = targets.into_iter().filter_map(|target| match target {
            Target::Item(module) => Some(self.modules[module].file.clone()),
            Target::Module(_) => None,
        });
        items.collect()
    }

    /// What a path of a module means; nothing where it leads out of the crate.
    fn resolve(&self, from: Id, path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        match path.first().map(String::as_str) {
            Some("crate") => self.walk(ROOT, &path[1..], seen),
            Some("self") => self.walk(from, &path[1..], seen),
            Some("super") => self.walk(self.modules[from].parent, &path[1..], seen),
            _ => self.lookup(from, path, seen),
        }
    }

    /// What a path means that starts in a module. Where no text shows the item, a
    /// macro defines it in the last module that the path names.
    fn walk(&self, module: Id, path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        match path.first().map(String::as_str) {
            None => BTreeSet::from([Target::Module(module)]),
            Some("super") => self.walk(self.modules[module].parent, &path[1..], seen),
            Some(_) => {
                let found = self.lookup(module, path, seen);
                if found.is_empty() {
                    BTreeSet::from([Target::Item(module)])
                } else {
                    found
                }
            }
        }
    }

    /// What a path means whose first name is one of a module.
    fn lookup(&self, module: Id, path: &[String], seen: &mut Seen) -> BTreeSet<Target> {
        let Some(name) = path.first() else {
            return BTreeSet::new();
        };
        // Two modules may import all of each other.
        if !seen.insert((module, path.to_vec())) {
            return BTreeSet::new();
        }
        let Module { text, children, .. } = &self.modules[module];
        let mut found = BTreeSet::new();
        for child in children.get(name).into_iter().flatten() {
            found.extend(self.walk(*child, &path[1..], seen));
        }
        if text.items.contains(name) {
            found.insert(Target::Item(module));
        }
        for import in text.imports.iter().filter(|import| import.name == *name) {
            let target = &import.target.path;
            // `use tokio::sync` in a module that has a child `tokio` is rare enough.
            for target in self.resolve(module, target, seen) {
                match target {
                    Target::Module(module) => found.extend(self.walk(module, &path[1..], seen)),
                    item @ Target::Item(_) => drop(found.insert(item)),
                }
            }
        }
        if found.is_empty() {
            for glob in &text.globs {
                for target in self.resolve(module, glob, seen) {
                    if let Target::Module(module) = target {
                        found.extend(self.lookup(module, path, seen));
                    }
                }
            }
        }
        found
    }
}

/// The modules and paths that are being resolved.
type Seen = BTreeSet<(Id, Path)>;

impl Module {
    fn new(path: Path, file: &str, parent: Id, sources: &Sources) -> Self {
        let source = sources.get(file);
        let source = source.unwrap_or_else(|| panic!("there is no {file}"));
        let parsed = syn::parse_file(source).unwrap_or_else(|error| {
            let at = error.span().start();
            panic!("{file}:{}:{}: {error}", at.line, at.column)
        });
        Self {
            file: file.to_owned(),
            ..Self::empty(path, parent, Text::of(&parsed.items))
        }
    }

    fn empty(path: Path, parent: Id, text: Text) -> Self {
        Self {
            path,
            file: String::new(),
            parent,
            children: BTreeMap::new(),
            text,
            is_moved: false,
        }
    }
}

fn text(path: &FilePath) -> String {
    path.to_str()
        .expect("sources have names in UTF-8")
        .to_owned()
}

/// Takes `..` out of a path, without looking at any file.
fn normal(path: &FilePath) -> String {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            other => normal.push(other),
        }
    }
    text(&normal)
}
