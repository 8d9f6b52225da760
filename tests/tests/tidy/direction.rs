//! The direction of dependency: the files of a crate, and its folders, do not use each
//! other in a circle, and in the native core no module uses one above it.
//!
//! An arrow runs from a file that names an item to the file that defines it. A method
//! call is no arrow, because the parser does not know types: so a method that joins two
//! types lives with the upper one.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::sync::LazyLock;

use crate::modules::{Arrow, Crate};
use crate::sources::RUST;

/// The layers of a crate's top-level modules, from top to bottom.
///
/// A module may use the modules of its own line and of the lines below it. Modules of
/// one line may use each other as long as no circle arises. Nothing uses the crate's
/// root (`lib.rs`), which may use everything. A new module gets a place here: the
/// lowest that is above all that it uses.
const LAYERS: [(&str, &[&[&str]]); 1] = [(
    "host/native/src",
    &[
        &["guest"],
        &["handle"],
        &["registry"],
        &["approval"],
        &["grant"],
        &["child"],
        &["command", "event"],
        &["error"],
        &["sandbox"],
        &["launch"],
        &["confinement"],
        &["clock", "escape", "limits", "shortage", "status", "streams"],
    ],
)];

/// The crates whose files are looked at, each by the file of its root module.
static CRATES: LazyLock<Vec<Crate>> = LazyLock::new(|| {
    let is_root = |path: &&String| {
        path.as_str() == "host/native/init/main.rs"
            || path.starts_with("host/")
                && (path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs"))
    };
    let roots: Vec<_> = RUST.keys().filter(is_root).collect();
    assert!(roots.len() >= 4, "the crates have moved: {roots:?}");
    roots.iter().map(|root| Crate::load(root, &RUST)).collect()
});

#[track_caller]
fn none(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}", faults.join("\n"));
}

#[test]
fn files_never_use_each_other_in_a_circle() {
    none(&CRATES.iter().flat_map(file_circles).collect::<Vec<_>>());
}

#[test]
fn folders_never_use_each_other_in_a_circle() {
    none(&CRATES.iter().flat_map(folder_circles).collect::<Vec<_>>());
}

#[test]
fn modules_use_only_the_layers_below_them() {
    for (folder, layers) in LAYERS {
        let layered = CRATES.iter().find(|it| it.folder == folder);
        none(&climbs(
            layered.expect("a crate has its root there"),
            layers,
        ));
    }
}

#[test]
fn a_file_lies_where_its_module_is() {
    for each in CRATES.iter() {
        let moved = each.moved_files();
        assert!(moved.is_empty(), "{}: #[path] to {moved:?}", each.folder);
    }
}

/// Which node uses which, each with the arrows between files that show it.
type Graph<'a> = BTreeMap<String, BTreeMap<String, Vec<&'a Arrow>>>;

/// Describes each circle of files.
pub(crate) fn file_circles(of: &Crate) -> Vec<String> {
    let arrows = of.arrows();
    let mut graph = Graph::new();
    for arrow in &arrows {
        let used = graph.entry(arrow.user.clone()).or_default();
        used.entry(arrow.used.clone()).or_default().push(arrow);
    }
    let circles = circles(&graph);
    circles.iter().map(|it| describe(it, &graph)).collect()
}

/// Describes each circle of the modules of one parent, each of them with all that
/// is below it, and of the parent's own file. Circles of single files are left out.
pub(crate) fn folder_circles(of: &Crate) -> Vec<String> {
    let arrows = of.arrows();
    let mut graphs: BTreeMap<&[String], Graph> = BTreeMap::new();
    for arrow in &arrows {
        let (from, to) = (of.module_of(&arrow.user), of.module_of(&arrow.used));
        let common = from.iter().zip(to).take_while(|(a, b)| a == b).count();
        // The parent's own file is `self`.
        let node = |path: &[String]| path.get(common).map_or("self".to_owned(), String::clone);
        let graph = graphs.entry(&from[..common]).or_default();
        let used = graph.entry(node(from)).or_default();
        used.entry(node(to)).or_default().push(arrow);
    }
    let mut faults = Vec::new();
    for (parent, graph) in &graphs {
        for circle in circles(graph) {
            let arrows = inner(&circle, graph).flat_map(|(_, _, arrows)| arrows);
            let files: BTreeSet<_> = arrows.flat_map(|it| [&it.user, &it.used]).collect();
            if files.len() > circle.len() {
                let parent = parent
                    .iter()
                    .fold("crate".to_owned(), |path, it| path + "::" + it);
                faults.push(format!("in {parent}: {}", describe(&circle, graph)));
            }
        }
    }
    faults
}

/// Describes each arrow that does not run down.
pub(crate) fn climbs(of: &Crate, layers: &[&[&str]]) -> Vec<String> {
    let layer = |name: &str| layers.iter().position(|layer| layer.contains(&name));
    let mut faults = Vec::new();
    let modules: BTreeSet<&str> = of.top_level().map(String::as_str).collect();
    for name in layers.iter().copied().flatten() {
        if !modules.contains(name) {
            faults.push(format!("{name} has a layer and is no module"));
        }
    }
    for name in modules {
        if layer(name).is_none() {
            faults.push(format!("{name} is a module and has no layer"));
        }
    }
    for arrow in of.arrows() {
        let top = |file: &str| of.module_of(file).first();
        // The root is above all layers.
        let height = |file: &str| match top(file) {
            Some(name) => layer(name).map(|depth| depth + 1),
            None => Some(0),
        };
        if let (Some(from), Some(to)) = (height(&arrow.user), height(&arrow.used))
            && to < from
        {
            faults.push(format!("upwards: {arrow}"));
        }
    }
    faults
}

/// The groups of nodes that reach each other.
fn circles(graph: &Graph) -> Vec<BTreeSet<String>> {
    let reached = |from: &String| {
        let mut reached = BTreeSet::new();
        let mut open: Vec<&String> = graph[from].keys().collect();
        while let Some(node) = open.pop() {
            if reached.insert(node.clone()) {
                open.extend(graph.get(node).into_iter().flat_map(BTreeMap::keys));
            }
        }
        reached
    };
    let reach: BTreeMap<_, _> = graph.keys().map(|node| (node, reached(node))).collect();
    let circles = reach
        .iter()
        .filter(|(node, reached)| reached.contains(**node));
    let circles = circles.map(|(node, reached)| {
        let back = reached
            .iter()
            .filter(|other| reach.get(other).is_some_and(|it| it.contains(*node)));
        back.cloned().collect::<BTreeSet<_>>()
    });
    circles.collect::<BTreeSet<_>>().into_iter().collect()
}

/// The arrows of a circle, from node to node.
fn inner<'a>(
    circle: &'a BTreeSet<String>,
    graph: &'a Graph<'a>,
) -> impl Iterator<Item = (&'a String, &'a String, &'a Vec<&'a Arrow>)> {
    circle.iter().flat_map(move |user| {
        let used = graph[user]
            .iter()
            .filter(|(used, _)| circle.contains(*used));
        used.map(move |(used, arrows)| (user, used, arrows))
    })
}

/// One line for the circle, and for each pair of its nodes the places that show it.
fn describe(circle: &BTreeSet<String>, graph: &Graph) -> String {
    /// Places of one pair that are shown.
    const SHOWN: usize = 3;
    let mut text = format!("a circle of {}:", circle.len());
    for (user, used, arrows) in inner(circle, graph) {
        // Writing to a string cannot fail.
        let _ = write!(text, "\n  {user} uses {used}");
        for arrow in arrows.iter().take(SHOWN) {
            let _ = write!(text, "\n    {arrow}");
        }
    }
    text
}
