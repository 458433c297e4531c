use super::*;

fn origin(id: &str, domain: &str, path: &str) -> Origin {
    Origin { id: id.to_owned(), domain: domain.to_owned(), path: path.to_owned() }
}

fn behaviour(pattern: &str, target: &str) -> Behaviour {
    Behaviour { pattern: pattern.to_owned(), target: target.to_owned(), ..Behaviour::default() }
}

fn plain(origin_path: &str) -> Distribution {
    Distribution {
        origins: vec![origin("s3", "archive.s3.eu-west-1.amazonaws.com", origin_path)],
        behaviours: vec![behaviour("*", "s3")],
        ..Distribution::default()
    }
}

/// The objects of `archive` whose keys begin with `prefix`.
fn covered(prefix: &str) -> BTreeSet<Covered> {
    [Covered { domain: "archive.s3.eu-west-1.amazonaws.com".to_owned(), prefix: prefix.to_owned() }].into()
}

fn with_index(distribution: &Distribution, index: &str) -> Distribution {
    Distribution { rules: PathRules::of_index(index), ..distribution.clone() }
}

/// The one object of each shared path, all of `archive`.
fn keys_of(shared: BTreeMap<String, BTreeSet<(String, String)>>) -> BTreeMap<String, String> {
    let key = |objects: BTreeSet<(String, String)>| {
        let [(bucket, key)] = &objects.into_iter().collect::<Vec<_>>()[..] else { panic!("not one object") };
        assert_eq!(bucket, "archive");
        key.clone()
    };
    shared.into_iter().map(|(path, objects)| (path, key(objects))).collect()
}

#[track_caller]
fn check(distribution: &Distribution, key: &str, index: &str, paths: &[&str]) {
    let found: Vec<_> = with_index(distribution, index).paths_of("archive", key).paths.into_iter().collect();
    assert_eq!(found, paths);
}

#[test]
fn a_key_is_its_path() {
    check(&plain(""), "2019/ab.jpg", "", &["/2019/ab.jpg"]);
    check(&plain(""), "2019/a+b.jpg", "", &["/2019/a%2Bb.jpg"]);
}

#[test]
fn a_blank_has_two_spellings_and_a_path_has_one() {
    check(&plain(""), "a b/c d+.jpg", "", &["/a%20b/c%20d%2B.jpg", "/a+b/c+d%2B.jpg"]);
    check(&plain("/p%20"), "p /cat.jpg", "", &["/cat.jpg"]);
    check(
        &plain(""),
        "a b/index.html",
        "index.html",
        &["/a%20b", "/a%20b/", "/a%20b/index.html", "/a+b", "/a+b/", "/a+b/index.html"],
    );
    check(&plain(""), "a b/~c d", "", &["/a%20b/*", "/a+b/*"]);
    check(&plain(""), "a/~c d", "", &["/a/*"]);
}

#[test]
fn at_a_website_endpoint_a_plus_has_two_spellings() {
    let mut website = plain("");
    website.origins[0].domain = "archive.s3-website-eu-west-1.amazonaws.com".to_owned();
    check(&website, "a+b c.jpg", "", &["/a%2Bb%20c.jpg", "/a+b%20c.jpg"]);
    let covers = website.paths_of("archive", "a+b/~c").covers;
    assert!(covers.iter().all(|covered| covered.prefix == "a+b/"), "{covers:?}");
    // Both origins are the same bucket, but they decode the `+` of a path differently.
    website.origins.push(plain("").origins[0].clone());
    website.origins[1].id = "rest".to_owned();
    website.behaviours.insert(0, behaviour("*.jpg", "rest"));
    let covers = website.paths_of("archive", "a+b/~c").covers;
    let prefixes: BTreeSet<&str> = covers.iter().map(|covered| covered.prefix.as_str()).collect();
    assert_eq!(prefixes, ["a b/", "a+b/"].into());
}

#[test]
fn a_pattern_is_compared_with_each_spelling() {
    let to_api = |pattern: &str| {
        let mut distribution = plain("");
        distribution.origins.push(origin("api", "api.example.com", ""));
        distribution.behaviours = vec![behaviour(pattern, "s3"), behaviour("*", "api")];
        distribution.paths_of("archive", "a b/é").paths.into_iter().collect::<Vec<_>>()
    };
    assert_eq!(to_api("a b/*"), ["/a%20b/%C3%A9"]);
    assert_eq!(to_api("a%20b/*"), ["/a%20b/%C3%A9"]);
    assert_eq!(to_api("a+b/*"), ["/a+b/%C3%A9"]);
    assert_eq!(to_api("*/é"), ["/a%20b/%C3%A9", "/a+b/%C3%A9"]);
}

#[test]
fn a_path_with_dot_segments_is_kept_and_names_what_a_client_would_ask_for() {
    let paths = plain("/pub").paths_of("archive", "pub/a/../b");
    assert_eq!(paths.paths, ["/a/../b".to_owned()].into());
    assert_eq!(keys_of(paths.shared), [("/a/../b".to_owned(), "pub/b".to_owned())].into());
    assert_eq!(folders(&plain(""), "a/../b/c"), [of("/", ""), of("/a/", "a/")]);
    // The behaviour is found by the path without dot segments.
    let mut distribution = plain("");
    distribution.behaviours = vec![behaviour("b", "s3"), behaviour("*", "api")];
    check(&distribution, "a/../b", "", &["/a/../b"]);
}

#[test]
fn a_bucket_may_be_named_in_the_path_of_its_origin() {
    for domain in ["s3.amazonaws.com", "s3.eu-west-1.amazonaws.com", "s3-eu-west-1.amazonaws.com"] {
        let mut distribution = plain("/archive/public");
        distribution.origins[0].domain = domain.to_owned();
        check(&distribution, "public/cat.jpg", "", &["/cat.jpg"]);
        check(&distribution, "archive/public/cat.jpg", "", &[]);
        assert!(!distribution.origins[0].is_bucket("archive2") && !distribution.origins[0].is_access_point());
    }
    let access_point = |domain: &str| origin("s3", domain, "").is_access_point();
    assert!(access_point("films-123456789012.s3-accesspoint.eu-west-1.amazonaws.com"));
    assert!(access_point("films-abc-s3alias.s3.eu-west-1.amazonaws.com"));
    assert!(access_point("mfzwi23gnjvgw.mrap.accesspoint.s3-global.amazonaws.com"));
    assert!(!access_point("archive.s3.eu-west-1.amazonaws.com"));
    let mut distribution = plain("");
    assert!(!distribution.may_have_origin("archive") && !distribution.may_have_origin("other"));
    distribution.origins.push(origin("alias", "films-abc-s3alias.s3.eu-west-1.amazonaws.com", ""));
    assert!(!distribution.may_have_origin("archive") && distribution.may_have_origin("other"));
}

#[test]
fn the_origin_path_is_stripped_and_other_keys_are_not_served() {
    check(&plain("/public"), "public/cat.jpg", "", &["/cat.jpg"]);
    check(&plain("/public"), "private/cat.jpg", "", &[]);
    check(&plain("/public"), "publicity.jpg", "", &[]);
}

#[test]
fn the_default_root_object_is_also_the_root() {
    let distribution = Distribution { default_root_object: "index.html".to_owned(), ..plain("") };
    check(&distribution, "index.html", "", &["/", "/index.html"]);
    check(&distribution, "dir/index.html", "", &["/dir/index.html"]);
}

#[test]
fn a_directory_index_is_also_its_directory_with_and_without_slash() {
    check(&plain(""), "dir/index.html", "index.html", &["/dir", "/dir/", "/dir/index.html"]);
    check(&plain(""), "index.html", "index.html", &["/", "/index.html"]);
    check(&plain(""), "dir/my-index.html", "index.html", &["/dir/my-index.html"]);
    check(&plain(""), "/index.html", "index.html", &["//", "//index.html"]);
}

/// A distribution that shows `archive` by default, and `other` behind some patterns.
fn ruled(rules: &str, more: &[(&str, &str)]) -> Distribution {
    let mut distribution = Distribution { id: "E1".to_owned(), ..plain("") };
    distribution.origins.push(origin("other", "other.s3.eu-west-1.amazonaws.com", ""));
    distribution.origins.push(origin("api", "api.example.com", ""));
    let more = more.iter().map(|(pattern, target)| behaviour(pattern, target));
    distribution.behaviours.splice(0..0, more);
    distribution.rules = PathRules::new("", rules).unwrap();
    distribution
}

const IMAGES: &str = r#"[{"keys": "images/{path...}", "paths": ["/img/{path...}", "/i/{path...}"]}]"#;

#[track_caller]
fn check_ruled(distribution: &Distribution, key: &str, paths: &[&str]) {
    let found: Vec<_> = distribution.paths_of("archive", key).paths.into_iter().collect();
    assert_eq!(found, paths);
}

#[test]
fn a_rule_adds_paths_in_every_spelling_where_their_behaviours_show_the_bucket() {
    let all = ["/i/a%20b+", "/i/a+b+", "/images/a%20b+", "/images/a+b+", "/img/a%20b+", "/img/a+b+"];
    let all = all.map(|path| path.replace("b+", "b%2B"));
    check_ruled(&ruled(IMAGES, &[]), "images/a b+", &all.each_ref().map(String::as_str));
    check_ruled(&ruled(IMAGES, &[]), "image/a", &["/image/a"]);
    // The viewer's path decides, and not what the function makes of it.
    check_ruled(&ruled(IMAGES, &[("/img/*", "api")]), "images/a", &["/i/a", "/images/a"]);
    check_ruled(&ruled(IMAGES, &[("/images/*", "api")]), "images/a", &["/i/a", "/images/a", "/img/a"]);
    check_ruled(&ruled(IMAGES, &[("/i*", "api")]), "images/a", &[]);
    let in_another = IMAGES.replace("{\"keys", "{\"distribution\": \"E2\", \"keys");
    check_ruled(&ruled(&in_another, &[]), "images/a", &["/images/a"]);
    for (named, paths) in [("/img/*", &["/images/a", "/img/a"][..]), ("*", &["/i/a", "/images/a"])] {
        let rules = IMAGES.replace("{\"keys", &format!("{{\"behaviour\": \"{named}\", \"keys"));
        check_ruled(&ruled(&rules, &[("img/*", "s3")]), "images/a", paths);
    }
    // The keys of a rule have the origin path, its paths do not.
    let pub_images = IMAGES.replace("images/", "pub/images/");
    let mut distribution = ruled(&pub_images, &[]);
    distribution.origins[0].path = "/pub".to_owned();
    check_ruled(&distribution, "pub/images/a", &["/i/a", "/images/a", "/img/a"]);
    check_ruled(&distribution, "images/a", &[]);
}

#[test]
fn a_rule_may_show_what_the_root_shows() {
    let mut distribution = ruled(r#"[{"keys": "site/{path...}", "paths": ["/{path...}"]}]"#, &[]);
    distribution.default_root_object = "index.html".to_owned();
    check_ruled(&distribution, "site/index.html", &["/", "/index.html", "/site/index.html"]);
    let shared = distribution.paths_of("archive", "index.html").shared;
    assert!(shared["/"].contains(&("archive".to_owned(), "site/index.html".to_owned())), "{shared:?}");
}

#[test]
fn each_path_has_the_variants_of_the_behaviour_that_serves_it_or_of_the_one_that_rewrites_to_it() {
    let mut distribution = ruled(IMAGES, &[("/img/*", "s3")]);
    distribution.behaviours[0].query_strings = QueryStrings::All;
    check_ruled(&distribution, "images/a", &["/i/a", "/images/a", "/images/a?*", "/img/a", "/img/a?*"]);
}

#[test]
fn a_rewritten_path_names_what_else_it_may_show() {
    let shared = |distribution: &Distribution, key: &str| {
        let shared = distribution.paths_of("archive", key).shared;
        let each = |(path, all): (String, BTreeSet<(String, String)>)| {
            all.into_iter().map(move |(bucket, key)| format!("{path} {bucket} {key}"))
        };
        shared.into_iter().flat_map(each).collect::<Vec<_>>()
    };
    let distribution = ruled(IMAGES, &[]);
    assert_eq!(shared(&distribution, "images/a"), ["/i/a archive i/a", "/img/a archive img/a"]);
    assert_eq!(shared(&distribution, "img/a"), ["/img/a archive images/a"]);
    assert_eq!(shared(&distribution, "a"), [""; 0]);
    // The other bucket shows its own under `/img/`, cached as `/images/…` too, or under `/images/`.
    let distribution = ruled(IMAGES, &[("/img/*", "other")]);
    assert_eq!(shared(&distribution, "images/a"), ["/i/a archive i/a", "/images/a other images/a"]);
    let distribution = ruled(IMAGES, &[("/images/*", "other"), ("/i/*", "api")]);
    assert_eq!(shared(&distribution, "images/a"), ["/images/a other images/a", "/img/a archive img/a"]);
}

#[test]
fn a_wildcard_for_a_tilde_covers_what_rules_show_beneath_it() {
    let covers = |distribution: &Distribution, key: &str| {
        let covers = distribution.paths_of("archive", key).covers.into_iter();
        covers.map(|one| format!("{} {}", one.bucket().unwrap(), one.prefix)).collect::<Vec<_>>()
    };
    let distribution = ruled(IMAGES, &[]);
    assert_eq!(covers(&distribution, "img/b/~x"), ["archive images/b/", "archive img/b/"]);
    assert_eq!(covers(&distribution, "x/~x"), ["archive x/"]);
    assert_eq!(
        covers(&distribution, "images/b/~x"),
        ["archive i/b/", "archive images/b/", "archive img/b/"],
        "three wildcards"
    );
    let distribution = ruled(IMAGES, &[("/i/*", "other")]);
    assert_eq!(covers(&distribution, "images/b/~x"), ["archive images/b/", "archive img/b/", "other images/b/"]);
}

#[test]
fn a_rule_speaks_of_the_behaviours_that_may_serve_its_paths() {
    let undeclared = |rules: &str, patterns: &[&str]| {
        let more: Vec<(&str, &str)> = patterns.iter().map(|pattern| (*pattern, "s3")).collect();
        let mut distribution = ruled(rules, &more);
        let functions =
            |name: &str| distribution.behaviours.iter().map(|one| (one.pattern.clone(), name.to_owned())).collect();
        (distribution.viewer_functions, distribution.origin_functions) = (functions("v"), functions("o"));
        let found = distribution.undeclared().into_iter();
        found.map(|one| format!("{} {:?} {}", one.function, one.event, one.behaviour)).collect::<Vec<_>>()
    };
    let of_default = ["v ViewerRequest *", "o OriginRequest *"];
    assert_eq!(undeclared("", &[]), of_default);
    assert_eq!(undeclared(IMAGES, &[]), [""; 0]);
    assert_eq!(undeclared(IMAGES, &["/img/*", "i/*"]), of_default);
    assert_eq!(undeclared(IMAGES, &["/img/*.jpg", "i/*"]), [""; 0], "other images are the default behaviour's");
    assert_eq!(undeclared(IMAGES, &["/x/*"]), ["v ViewerRequest /x/*", "o OriginRequest /x/*"]);
    let named = r#"[{"behaviour": "x/*", "keys": "{path...}", "paths": ["/{path...}"]}]"#;
    assert_eq!(undeclared(named, &["/x/*"]), of_default);
}

#[test]
fn a_directory_index_speaks_of_one_function_of_a_behaviour() {
    let function = || [("*".to_owned(), "f".to_owned())].into();
    let none = BTreeMap::new;
    for (viewer_functions, origin_functions, undeclared) in [
        (function(), none(), vec![]),
        (none(), function(), vec![]),
        (function(), function(), vec![FunctionEvent::OriginRequest]),
    ] {
        let rules = PathRules::of_index("index.html");
        let distribution = Distribution { viewer_functions, origin_functions, rules, ..plain("") };
        assert_eq!(distribution.undeclared().into_iter().map(|one| one.event).collect::<Vec<_>>(), undeclared);
    }
}

#[test]
fn the_rules_of_a_primary_distribution_are_those_of_its_staging_distribution() {
    let rules = r#"[{"distribution": "E1", "keys": "images/{path...}", "paths": ["/img/{path...}"]}]"#;
    let of = |id: &str, primary: Option<&str>| {
        let primary = primary.map(str::to_owned);
        let distribution = Distribution { id: id.to_owned(), primary, ..ruled(rules, &[]) };
        distribution.paths_of("archive", "images/a").paths.contains("/img/a")
    };
    assert_eq!(
        [of("E1", None), of("E2", None), of("E2", Some("E1")), of("E2", Some("E3"))],
        [true, false, true, false]
    );
}

#[test]
fn a_folder_in_which_a_rule_shows_something_else_is_not_whole() {
    let folders = |distribution: &Distribution, key: &str| {
        distribution.folders_of("archive", key).into_iter().map(|folder| folder.path).collect::<Vec<_>>()
    };
    assert_eq!(folders(&ruled(IMAGES, &[]), "images/a/b"), ["/images/", "/images/a/"]);
    assert_eq!(folders(&ruled(IMAGES, &[]), "img/a/b"), [""; 0]);
    // What the other bucket shows under `/img/` may be cached as `/images/…`.
    assert_eq!(folders(&ruled(IMAGES, &[("/img/*", "other")]), "images/a/b"), [""; 0]);
    let clean = r#"[{"keys": "{page...}.html", "paths": ["/{page...}"]}]"#;
    assert_eq!(folders(&ruled(clean, &[]), "a/b"), ["/", "/a/"]);
}

#[test]
fn only_the_behaviour_that_matches_first_decides() {
    let mut distribution = plain("");
    distribution.origins.push(origin("api", "api.example.com", ""));
    distribution.behaviours = vec![behaviour("/api/*", "api"), behaviour("*", "s3")];
    check(&distribution, "api/v1", "", &[]);
    check(&distribution, "apis", "", &["/apis"]);
}

#[test]
fn a_group_serves_what_its_members_have() {
    let mut distribution = plain("");
    distribution.behaviours = vec![behaviour("*", "group")];
    distribution.groups = vec![OriginGroup {
        id: "group".to_owned(),
        members: vec!["s3".to_owned(), "page".to_owned()],
        fails_over_on: vec![403],
    }];
    check(&distribution, "cat.jpg", "", &["/cat.jpg"]);
}

#[test]
fn other_buckets_are_not_this_bucket() {
    for domain in [
        "archive2.s3.amazonaws.com",
        "archive.example.com",
        "my.archive.s3.amazonaws.com",
        "archive.s3.example.com",
        "archive.s3example.amazonaws.com",
        "archive.s3.s3.us-east-1.amazonaws.com",
        "archive.s3-old.s3.us-east-1.amazonaws.com",
    ] {
        assert!(!origin("s3", domain, "").is_bucket("archive"), "{domain}");
    }
    for domain in [
        "archive.s3.amazonaws.com",
        "archive.s3.eu-west-1.amazonaws.com",
        "archive.s3-website-us-east-1.amazonaws.com",
        "archive.s3.dualstack.us-east-1.amazonaws.com",
    ] {
        assert!(origin("s3", domain, "").is_bucket("archive"), "{domain}");
    }
    assert!(plain("").has_origin("archive") && !plain("").has_origin("archive2"));
}

#[test]
fn a_directorys_paths_name_the_object_that_may_have_them_too() {
    let shared = |key| keys_of(with_index(&plain("/pub"), "index.html").paths_of("archive", key).shared);
    let of = |path: &str, key: &str| (path.to_owned(), key.to_owned());
    let both = ["/a%20b", "/a+b"].map(|path| [of(path, "pub/a b"), of(&format!("{path}/"), "pub/a b/")]);
    assert_eq!(shared("pub/a b/index.html"), both.into_iter().flatten().collect());
    // The object's own path is its own, and `/` is no key.
    assert_eq!(shared("pub/index.html"), [].into());
    assert_eq!(shared("pub/cat.jpg"), [].into());
}

#[test]
fn a_tilde_becomes_a_wildcard_that_ends_before_it() {
    let paths = plain("").paths_of("archive", "~user/x");
    assert_eq!(paths, Paths { paths: ["/*".to_owned()].into(), covers: covered(""), ..Paths::default() });
    let paths = plain("/pub").paths_of("archive", "pub/a b/~user/x");
    let both = ["/a%20b/*", "/a+b/*"].map(str::to_owned);
    assert_eq!(paths, Paths { paths: both.into(), covers: covered("pub/a b/"), ..Paths::default() });
}

#[test]
fn a_wildcard_covers_no_more_than_it_says() {
    // The name of an Emacs backup. The dot belongs to the key: `notes*` would also cover `notes` itself.
    let paths = plain("").paths_of("archive", "notes.~1~");
    assert_eq!((paths.paths, paths.covers), (["/notes.*".to_owned()].into(), covered("notes.")));
    let paths = plain("").paths_of("archive", "a*...~");
    assert_eq!((paths.paths, paths.covers), (["/a*...*".to_owned()].into(), covered("a*...")));
}

#[test]
fn a_wildcard_covers_what_every_bucket_shows_there() {
    const OTHER: &str = "other.s3.eu-west-1.amazonaws.com";
    // What the wildcard for `a é/~x` covers in addition when a behaviour with this pattern goes to this origin.
    let added = |pattern: &str, target: &str, domain: &str, path: &str| {
        let mut distribution = plain("");
        distribution.origins.push(origin("more", domain, path));
        distribution.groups = vec![OriginGroup {
            id: "group".to_owned(),
            members: vec!["s3".to_owned(), "more".to_owned()],
            fails_over_on: vec![403],
        }];
        distribution.behaviours.insert(0, behaviour(pattern, target));
        let mut covers = distribution.paths_of("archive", "a é/~x").covers;
        assert!(covers.remove(&covered("a é/").pop_first().unwrap()), "{covers:?}");
        covers.into_iter().map(|covered| (covered.bucket().map(str::to_owned), covered.prefix)).collect::<Vec<_>>()
    };
    let other = |prefix: &str| [(Some("other".to_owned()), prefix.to_owned())];
    assert_eq!(added("a*/b", "more", OTHER, ""), other("a é/"));
    assert_eq!(added("*.jpg", "more", OTHER, "/p%20"), other("p /a é/"));
    assert_eq!(added("b/*", "more", OTHER, ""), []);
    // CloudFront asks the second origin where the first has no object or an archived one.
    assert_eq!(added("*.jpg", "group", OTHER, ""), other("a é/"));
    // The website endpoint of the same bucket: there `+` in the wildcard's path means another folder.
    let archive = "archive.s3-website-eu-west-1.amazonaws.com";
    let both = ["p/a é/", "p/a+é/"].map(|prefix| (Some("archive".to_owned()), prefix.to_owned()));
    assert_eq!(added("*.jpg", "more", archive, "/p"), both);
    // A pattern may be written in encoded form.
    assert_eq!(added("a%20%C3%A9/b", "more", OTHER, ""), other("a é/"));
    // The bucket's name may be in the origin path, or only S3 may know it.
    assert_eq!(added("*.jpg", "more", "s3.eu-west-1.amazonaws.com", "/other/p%20"), other("p /a é/"));
    assert_eq!(added("*.jpg", "more", "s3.eu-west-1.amazonaws.com", ""), [(None, "a é/".to_owned())]);
    let alias = "films-abc-s3alias";
    let domain = format!("{alias}.s3.eu-west-1.amazonaws.com");
    assert_eq!(added("*.jpg", "more", &domain, ""), [(Some(alias.to_owned()), "a é/".to_owned())]);
    // An origin that is not S3 has no archived objects.
    assert_eq!(added("*.jpg", "more", "api.example.com", ""), []);
}

#[test]
fn an_origin_path_is_part_of_a_url() {
    check(&plain("/my%20dir"), "my dir/cat.jpg", "", &["/cat.jpg"]);
    check(&plain("/my%20dir"), "my%20dir/cat.jpg", "", &[]);
    check(&plain("//dir"), "/dir/cat.jpg", "", &["/cat.jpg"]);
    check(&plain("//dir"), "dir/cat.jpg", "", &[]);
}

#[test]
fn a_folders_own_object_does_not_stand_for_its_index() {
    let with_root = Distribution { default_root_object: "index.html".to_owned(), ..plain("/public") };
    check(&with_root, "public/", "", &[]);
    // `/` shows the default root object before any index.
    let distribution = Distribution { default_root_object: "home.html".to_owned(), ..plain("/p") };
    let paths = with_index(&distribution, "index.html").paths_of("archive", "p/index.html");
    assert_eq!(paths.paths, ["/", "/index.html"].map(str::to_owned).into());
    assert_eq!(keys_of(paths.shared), [("/".to_owned(), "p/home.html".to_owned())].into());
    let paths = with_index(&distribution, "index.html").paths_of("archive", "p/home.html");
    assert_eq!(paths.paths, ["/", "/home.html"].map(str::to_owned).into());
    assert!(paths.shared.is_empty());
    let paths = with_index(&plain(""), "index.html").paths_of("archive", "dir/");
    assert_eq!(keys_of(paths.shared), [("/dir/".to_owned(), "dir/index.html".to_owned())].into());
}

#[test]
fn the_root_is_shown_by_the_behaviour_of_its_object_too() {
    let mut distribution = Distribution { default_root_object: "index.html".to_owned(), ..plain("") };
    distribution.behaviours = vec![behaviour("*.html", "s3"), behaviour("*", "api")];
    check(&distribution, "index.html", "", &["/", "/index.html"]);
}

fn folders(distribution: &Distribution, key: &str) -> Vec<(String, String)> {
    distribution.folders_of("archive", key).into_iter().map(|folder| (folder.path, folder.prefix)).collect()
}

fn of(path: &str, prefix: &str) -> (String, String) {
    (path.to_owned(), prefix.to_owned())
}

#[test]
fn a_folder_is_one_where_nothing_else_is_shown() {
    assert_eq!(
        folders(&plain(""), "a b/c/d"),
        [of("/", ""), of("/a%20b/", "a b/"), of("/a+b/", "a b/"), of("/a%20b/c/", "a b/c/"), of("/a+b/c/", "a b/c/")]
    );
    assert_eq!(folders(&plain("/pub"), "pub/a/d"), [of("/", "pub/"), of("/a/", "pub/a/")]);
    assert_eq!(folders(&plain("/pub"), "private/a"), []);
    assert_eq!(folders(&plain(""), "a/~b/c"), [of("/", ""), of("/a/", "a/")]);
}

#[test]
fn a_folder_knows_the_paths_of_its_keys_and_what_a_wildcard_in_it_covers() {
    let all = plain("/pub").folders_of("archive", "pub/a b/");
    let [root, escaped, plus] = &all[..] else { panic!("{all:?}") };
    assert_eq!(root.paths_of("pub/a b/c+d"), ["/a%20b/c%2Bd", "/a+b/c%2Bd"]);
    assert_eq!(escaped.paths_of("pub/a b/c d"), ["/a%20b/c%20d"]);
    assert_eq!(plus.paths_of("pub/a b/c d"), ["/a+b/c+d"]);
    assert_eq!(root.prefix_of("/x+1"), "pub/x 1");
    assert_eq!(plus.prefix_of("/a+b/c%2B"), "pub/a b/c+");
}

#[test]
fn another_behaviour_breaks_a_folder_where_its_pattern_may_match() {
    let with = |pattern: &str, target: &str| {
        let mut distribution = plain("");
        distribution.origins.push(origin("api", "api.example.com", ""));
        distribution.behaviours.insert(0, behaviour(pattern, target));
        folders(&distribution, "a/b/c").into_iter().map(|(path, _)| path).collect::<Vec<_>>()
    };
    assert_eq!(with("/x/*", "api"), ["/a/", "/a/b/"]);
    assert_eq!(with("a/x*", "api"), ["/a/b/"]);
    assert_eq!(with("a/b/*.php", "api"), [""; 0]);
    assert_eq!(with("*.php", "api"), [""; 0]);
    assert_eq!(with("a/?/*", "api"), [""; 0]);
    assert_eq!(with("a", "api"), ["/a/", "/a/b/"]);
    // Another behaviour that goes to the same origin.
    assert_eq!(with("a/x*", "s3"), ["/", "/a/", "/a/b/"]);
    assert_eq!(with("*.jpg", "s3"), ["/", "/a/", "/a/b/"]);
    // An earlier behaviour that matches everything leaves nothing for a later one.
    assert_eq!(with("a/*", "s3"), ["/", "/a/", "/a/b/"]);
}

#[test]
fn a_function_or_another_bucket_behind_breaks_a_folder_and_a_holding_page_does_not() {
    let mut with_function = plain("");
    with_function.behaviours[0].has_origin_function = true;
    assert_eq!(folders(&with_function, "a/b"), []);
    let with_second = |domain: &str, members: [&str; 2]| {
        let mut distribution = plain("");
        distribution.origins.push(origin("page", domain, ""));
        distribution.behaviours = vec![behaviour("*", "group")];
        distribution.groups = vec![OriginGroup {
            id: "group".to_owned(),
            members: members.map(str::to_owned).to_vec(),
            fails_over_on: vec![403],
        }];
        folders(&distribution, "a/b").len()
    };
    assert_eq!(with_second("page.example.com", ["s3", "page"]), 2);
    assert_eq!(with_second("page.example.com", ["page", "s3"]), 0);
    assert_eq!(with_second("other.s3.amazonaws.com", ["s3", "page"]), 0);
    assert_eq!(with_second("api.execute-api.us-east-1.amazonaws.com", ["s3", "page"]), 2);
    assert_eq!(with_second("files.s3.example.com", ["s3", "page"]), 2);
}
