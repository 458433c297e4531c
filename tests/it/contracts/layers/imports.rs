//! Which file of a crate imports from which: reads `use` items and paths in code as the compiler resolves them.
//!
//! Tests, comments and strings do not count. A name is followed through re-exports to the file that defines it, so a parent
//! that only declares and re-exports is nobody's import.

use std::collections::{BTreeMap, BTreeSet};

/// A crate's files by their paths under `src`, each with its text.
pub type Files = BTreeMap<String, String>;

/// From a file to a file whose definitions it uses.
pub type Import = (String, String);

/// Longer chains of re-exports than this are circles of their own.
const MOST_STEPS: u32 = 16;

/// All imports between the files of a crate.
pub fn imports(files: &Files) -> BTreeSet<Import> {
    let parsed: BTreeMap<&str, Source> =
        files.iter().map(|(path, text)| (path.as_str(), Parser::new(text).module())).collect();
    let declared: BTreeSet<String> = parsed
        .iter()
        .flat_map(|(path, source)| source.children.iter().filter_map(|child| file_of(files, path, child)))
        .collect();
    // A root is a library, a program, or another program in the same folder.
    let roots = parsed.keys().filter(|path| !declared.contains(**path));
    roots.flat_map(|root| Crate::new(files, &parsed, root).imports()).collect()
}

/// The file that `mod name;` in this file means; none if it lies elsewhere.
fn file_of(files: &Files, parent: &str, child: &Child) -> Option<String> {
    let (folder, name) = parent.rsplit_once('/').map_or(("", parent), |(folder, name)| (folder, name));
    let stem = name.trim_end_matches(".rs");
    let own_folder = if stem == "mod" { folder.to_owned() } else { join(folder, stem) };
    let candidates = [own_folder.as_str(), folder].map(|folder| {
        let name = join(folder, &child.name);
        [format!("{name}.rs"), format!("{name}/mod.rs")]
    });
    if child.has_path {
        return None;
    }
    candidates.into_iter().flatten().find(|path| files.contains_key(path))
}

fn join(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// What a file, or a module in braces, says.
#[derive(Debug, Default, Clone)]
struct Source {
    /// What it defines.
    items: BTreeSet<String>,
    children: Vec<Child>,
    uses: Vec<Use>,
    /// Paths in its code.
    paths: Vec<Vec<String>>,
    /// Single names in its code.
    names: BTreeSet<String>,
}

#[derive(Debug, Clone)]
struct Child {
    name: String,
    /// What stands in its braces.
    inline: Option<Source>,
    /// Whether an attribute says where its file is.
    has_path: bool,
}

/// One name, or all names, that a `use` brings.
#[derive(Debug, Clone)]
struct Use {
    /// `None` for `*`.
    name: Option<String>,
    path: Vec<String>,
    /// With `pub`, in whatever form.
    is_exported: bool,
}

// --- modules -----------------------------------------------------------------------------------------------------------

/// The modules under one root.
#[derive(Default)]
struct Crate {
    modules: Vec<Module>,
}

struct Module {
    parent: Option<usize>,
    /// `None` for a file that lies outside of `src`.
    file: Option<String>,
    source: Source,
    children: BTreeMap<String, usize>,
}

/// What a path leads to.
#[derive(Clone, Copy)]
enum Target {
    Module(usize),
    /// Something that this module defines.
    Item(usize),
}

impl Crate {
    fn new(files: &Files, parsed: &BTreeMap<&str, Source>, root: &str) -> Self {
        let mut tree = Self::default();
        tree.add(files, parsed, None, Some(root.to_owned()), parsed[root].clone());
        tree
    }

    fn add(
        &mut self,
        files: &Files,
        parsed: &BTreeMap<&str, Source>,
        parent: Option<usize>,
        file: Option<String>,
        source: Source,
    ) -> usize {
        let id = self.modules.len();
        let declared = source.children.clone();
        self.modules.push(Module { parent, file: file.clone(), source, children: BTreeMap::new() });
        for child in declared {
            let (of_child, source) = match &child.inline {
                Some(source) => (file.clone(), source.clone()),
                None => {
                    let of_child = file.as_deref().and_then(|file| file_of(files, file, &child));
                    let source = of_child.as_deref().map(|file| parsed[file].clone()).unwrap_or_default();
                    (of_child, source)
                }
            };
            let added = self.add(files, parsed, Some(id), of_child, source);
            self.modules[id].children.insert(child.name, added);
        }
        id
    }

    fn imports(&self) -> BTreeSet<Import> {
        let mut found = BTreeSet::new();
        for (id, module) in self.modules.iter().enumerate() {
            let Some(from) = &module.file else { continue };
            let mut add = |target: Option<Target>| {
                let to = match target {
                    Some(Target::Item(to)) => self.modules[to].file.as_ref(),
                    // Of a module with children, the paths in the code tell what is used.
                    Some(Target::Module(to)) if self.modules[to].children.is_empty() => self.modules[to].file.as_ref(),
                    Some(Target::Module(_)) | None => None,
                };
                found.extend(to.filter(|to| *to != from).map(|to| (from.clone(), to.clone())));
            };
            for path in &module.source.paths {
                add(self.resolve(id, path, MOST_STEPS));
            }
            for one in &module.source.uses {
                let target = self.resolve(id, &one.path, MOST_STEPS);
                let is_used = one.name.as_ref().is_some_and(|name| module.source.names.contains(name));
                if one.is_exported && !is_used && target.is_some_and(|target| self.is_below(target, id)) {
                    continue;
                }
                add(target);
                if let (None, Some(Target::Module(all))) = (&one.name, target) {
                    if !self.modules[all].source.items.is_empty() {
                        add(Some(Target::Item(all)));
                    }
                    for exported in self.modules[all].source.uses.iter().filter(|exported| exported.is_exported) {
                        add(self.resolve(all, &exported.path, MOST_STEPS));
                    }
                }
            }
        }
        found
    }

    /// Whether it lies in a descendant of the module.
    fn is_below(&self, target: Target, module: usize) -> bool {
        let (Target::Module(mut at) | Target::Item(mut at)) = target;
        while let Some(parent) = self.modules[at].parent {
            if parent == module {
                return true;
            }
            at = parent;
        }
        false
    }

    fn resolve(&self, from: usize, path: &[String], steps: u32) -> Option<Target> {
        let mut at = from;
        for (place, segment) in path.iter().enumerate() {
            match segment.as_str() {
                "crate" => at = 0,
                "self" => {}
                "super" => at = self.modules[at].parent?,
                name => match self.look_up(at, name, steps)? {
                    Target::Module(module) => at = module,
                    // What follows are variants and methods.
                    item @ Target::Item(_) => return Some(item),
                },
            }
            // `self` and `super` alone are modules, too.
            if place + 1 == path.len() {
                return Some(Target::Module(at));
            }
        }
        None
    }

    fn look_up(&self, module: usize, name: &str, steps: u32) -> Option<Target> {
        let steps = steps.checked_sub(1)?;
        let Module { source, children, .. } = &self.modules[module];
        if let Some(child) = children.get(name) {
            return Some(Target::Module(*child));
        }
        if source.items.contains(name) {
            return Some(Target::Item(module));
        }
        let named = source.uses.iter().filter(|one| one.name.as_deref() == Some(name));
        if let Some(target) =
            named.filter(|one| one.path != [name]).find_map(|one| self.resolve(module, &one.path, steps))
        {
            return Some(target);
        }
        source.uses.iter().filter(|one| one.name.is_none()).find_map(|all| {
            match self.resolve(module, &all.path, steps) {
                Some(Target::Module(all)) if all != module => self.look_up(all, name, steps),
                _ => None,
            }
        })
    }
}

// --- text --------------------------------------------------------------------------------------------------------------

#[derive(Debug, Clone, PartialEq, Eq)]
enum Token {
    Name(String),
    Text,
    /// `::`.
    Separator,
    Sign(char),
}

/// The tokens of a text. Comments, lifetimes and the insides of strings are left out.
fn tokens(text: &str) -> Vec<Token> {
    let chars: Vec<char> = text.chars().collect();
    let at = |place: usize| chars.get(place).copied().unwrap_or('\0');
    let is_name = |char: char| char.is_alphanumeric() || char == '_';
    let (mut found, mut place) = (Vec::new(), 0);
    while place < chars.len() {
        let char = at(place);
        if char == '/' && at(place + 1) == '/' {
            while place < chars.len() && at(place) != '\n' {
                place += 1;
            }
        } else if char == '/' && at(place + 1) == '*' {
            let mut depth = 0;
            loop {
                match (at(place), at(place + 1)) {
                    ('/', '*') => (depth, place) = (depth + 1, place + 2),
                    ('*', '/') => (depth, place) = (depth - 1, place + 2),
                    _ => place += 1,
                }
                if depth == 0 || place >= chars.len() {
                    break;
                }
            }
        } else if char == '"' {
            place += 1;
            while place < chars.len() && at(place) != '"' {
                place += if at(place) == '\\' { 2 } else { 1 };
            }
            place += 1;
            found.push(Token::Text);
        } else if char == '\'' {
            if at(place + 1) == '\\' {
                place += 3;
                while place < chars.len() && at(place) != '\'' {
                    place += 1;
                }
                place += 1;
            } else if at(place + 2) == '\'' {
                place += 3;
            } else {
                place += 1;
                while is_name(at(place)) {
                    place += 1;
                }
            }
        } else if is_name(char) {
            let begin = place;
            while is_name(at(place)) {
                place += 1;
            }
            let name: String = chars[begin..place].iter().collect();
            let hashes = (0..).take_while(|more| at(place + more) == '#').count();
            if matches!(name.as_str(), "r" | "br" | "cr") && at(place + hashes) == '"' {
                place += hashes + 1;
                let ends = |place: usize| at(place) == '"' && (1..=hashes).all(|more| at(place + more) == '#');
                while place < chars.len() && !ends(place) {
                    place += 1;
                }
                place += hashes + 1;
                found.push(Token::Text);
            } else if name == "r" && hashes == 1 {
                // A raw name: `r#type`.
                place += 1;
            } else {
                found.push(Token::Name(name));
            }
        } else if char == ':' && at(place + 1) == ':' {
            place += 2;
            found.push(Token::Separator);
        } else {
            place += 1;
            if !char.is_whitespace() {
                found.push(Token::Sign(char));
            }
        }
    }
    found
}

struct Parser {
    tokens: Vec<Token>,
    place: usize,
}

impl Parser {
    fn new(text: &str) -> Self {
        Self { tokens: tokens(text), place: 0 }
    }

    fn peek(&self, ahead: usize) -> Option<&Token> {
        self.tokens.get(self.place + ahead)
    }

    fn is_sign(&self, ahead: usize, sign: char) -> bool {
        self.peek(ahead) == Some(&Token::Sign(sign))
    }

    fn name(&self, ahead: usize) -> Option<&str> {
        match self.peek(ahead) {
            Some(Token::Name(name)) => Some(name),
            _ => None,
        }
    }

    /// Reads up to the end of the file, or of the braces that it is in.
    fn module(&mut self) -> Source {
        let mut source = Source::default();
        let (mut depth, mut is_exported, mut has_path) = (0_u32, false, false);
        while let Some(token) = self.peek(0).cloned() {
            match token {
                Token::Sign('#') if self.is_sign(1, '[') || self.is_sign(1, '!') => {
                    let is_of_all = self.is_sign(1, '!');
                    let attribute = self.attribute();
                    let begins = |words: &[&str]| {
                        attribute.iter().map(String::as_str).take(words.len()).eq(words.iter().copied())
                    };
                    if begins(&["cfg", "test"]) || begins(&["cfg", "all", "test"]) {
                        if is_of_all {
                            return Source::default();
                        }
                        self.skip_item();
                    }
                    has_path |= begins(&["path"]);
                    continue;
                }
                Token::Sign('{') => depth += 1,
                Token::Sign('}') if depth == 0 => {
                    self.place += 1;
                    return source;
                }
                Token::Sign('}') => depth -= 1,
                Token::Name(word) if word == "pub" => {
                    is_exported = true;
                    self.place += 1;
                    if self.is_sign(0, '(') {
                        while !self.is_sign(0, ')') && self.peek(0).is_some() {
                            self.place += 1;
                        }
                        self.place += 1;
                    }
                    continue;
                }
                Token::Name(word) if word == "use" && !self.is_sign(1, '<') => {
                    self.place += 1;
                    self.use_tree(&mut Vec::new(), is_exported, &mut source.uses);
                }
                Token::Name(word) if word == "mod" && self.name(1).is_some() => {
                    let name = self.name(1).unwrap_or_default().to_owned();
                    self.place += 2;
                    let inline = self.is_sign(0, '{').then(|| {
                        self.place += 1;
                        self.module()
                    });
                    source.children.push(Child { name, inline, has_path });
                    (is_exported, has_path) = (false, false);
                    continue;
                }
                Token::Name(word)
                    if depth == 0 && is_item(&word) && self.name(1).is_some_and(|name| !is_item(name)) =>
                {
                    source.items.insert(self.name(1).unwrap_or_default().to_owned());
                    self.place += 1;
                }
                Token::Name(word) if depth == 0 && word == "macro_rules" && self.is_sign(1, '!') => {
                    source.items.extend(self.name(2).map(str::to_owned));
                    self.place += 2;
                }
                Token::Name(_) => {
                    self.path(&mut source);
                    is_exported = false;
                    continue;
                }
                Token::Text | Token::Separator | Token::Sign(_) => {}
            }
            (is_exported, has_path) = (false, false);
            self.place += 1;
        }
        source
    }

    /// A path in code, or a name.
    fn path(&mut self, source: &mut Source) {
        let is_member = self.place > 0 && self.tokens[self.place - 1] == Token::Sign('.');
        let is_rest = self.place > 0 && self.tokens[self.place - 1] == Token::Separator;
        let mut path = Vec::new();
        while let Some(name) = self.name(0).map(str::to_owned) {
            path.push(name);
            self.place += 1;
            if self.peek(0) != Some(&Token::Separator) || self.name(1).is_none() {
                break;
            }
            self.place += 1;
        }
        if is_member || is_rest {
            return;
        }
        source.names.insert(path[0].clone());
        if path.len() > 1 {
            source.paths.push(path);
        }
    }

    /// What follows `use`, up to its semicolon, or one branch of it.
    fn use_tree(&mut self, path: &mut Vec<String>, is_exported: bool, uses: &mut Vec<Use>) {
        let before = path.len();
        loop {
            match self.peek(0).cloned() {
                Some(Token::Name(name)) => {
                    path.push(name);
                    self.place += 1;
                }
                Some(Token::Separator) => self.place += 1,
                Some(Token::Sign('*')) => {
                    self.place += 1;
                    uses.push(Use { name: None, path: path.clone(), is_exported });
                    break;
                }
                Some(Token::Sign('{')) => {
                    self.place += 1;
                    while self.peek(0).is_some() && !self.is_sign(0, '}') {
                        self.use_tree(path, is_exported, uses);
                        if self.is_sign(0, ',') {
                            self.place += 1;
                        }
                    }
                    self.place += 1;
                    break;
                }
                _ => break,
            }
            let ends = self.is_sign(0, ',') || self.is_sign(0, ';') || self.is_sign(0, '}');
            if self.name(0) == Some("as") {
                let name = self.name(1).map(str::to_owned);
                self.place += 2;
                uses.push(Use { name, path: whole(path), is_exported });
                break;
            }
            if ends {
                let path = whole(path);
                uses.push(Use { name: path.last().cloned(), path, is_exported });
                break;
            }
        }
        path.truncate(before);
    }

    /// Reads `#[…]` or `#![…]` and answers its words.
    fn attribute(&mut self) -> Vec<String> {
        let (mut words, mut depth) = (Vec::new(), 0_u32);
        while let Some(token) = self.peek(0).cloned() {
            self.place += 1;
            match token {
                Token::Sign('[') => depth += 1,
                Token::Sign(']') if depth == 1 => break,
                Token::Sign(']') => depth -= 1,
                Token::Name(word) => words.push(word),
                Token::Text | Token::Separator | Token::Sign(_) => {}
            }
        }
        words
    }

    /// Passes an item: up to its semicolon, or to the end of its braces.
    fn skip_item(&mut self) {
        const BEGIN: [&str; 11] =
            ["const", "enum", "fn", "impl", "macro_rules", "mod", "static", "struct", "trait", "type", "use"];
        let (mut depth, mut is_item, mut is_use) = (0_u32, false, false);
        while let Some(token) = self.peek(0).cloned() {
            self.place += 1;
            match token {
                Token::Name(word) if depth == 0 && BEGIN.contains(&word.as_str()) => {
                    is_use |= !is_item && word == "use";
                    is_item = true;
                }
                Token::Sign('{' | '(' | '[') => depth += 1,
                Token::Sign('}') if depth == 1 && !is_use => return,
                Token::Sign('}' | ')' | ']') => depth = depth.saturating_sub(1),
                Token::Sign(';') if depth == 0 => return,
                // Of a field, a variant, or an arm.
                Token::Sign(',') if depth == 0 && !is_item => return,
                _ => {}
            }
        }
    }
}

/// `a::b::self` is `a::b`.
fn whole(path: &[String]) -> Vec<String> {
    match path {
        [path @ .., last] if last == "self" && !path.is_empty() => path.to_vec(),
        path => path.to_vec(),
    }
}

/// The words that begin an item that has a name.
fn is_item(word: &str) -> bool {
    let words = ["fn", "struct", "enum", "union", "trait", "type", "const", "static", "unsafe", "async", "mut"];
    words.contains(&word)
}
