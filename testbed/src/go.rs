//! Programs that are built with Go, from modules that lie beside this crate's sources.

use std::{
    fs,
    path::{Path, PathBuf},
};

use crate::{cache, error::Error, progress::progress, tool::Tool};

/// A module, whose text is part of this crate.
pub(crate) struct Module {
    /// The name of its folder in the cache.
    pub(crate) name: &'static str,
    /// Of what it is built of, for people.
    pub(crate) version: &'static str,
    /// Its files, each with its place in the module.
    pub(crate) files: &'static [(&'static str, &'static str)],
    /// What the linker is told, if anything.
    pub(crate) link: Option<&'static str>,
    /// What it is for, and about how long it takes: the words after "building".
    pub(crate) what: &'static str,
    /// Go, and what to tell someone who hasn't got it.
    pub(crate) tool: Tool,
}

impl Module {
    /// The folder with its programs, each named as its own folder is; built first if need be. Blocks.
    ///
    /// # Errors
    /// If Go is missing or can't build it.
    pub(crate) fn provision(&self) -> Result<PathBuf, Error> {
        let files = self.files.iter().flat_map(|&(name, text)| [name, text]);
        let name = cache::versioned(self.name, self.version, files.chain(self.link));
        cache::ensure(&name, |into| self.build(into))
    }

    fn build(&self, into: &Path) -> Result<(), Error> {
        progress(&format!("building {}", self.what));
        let module = into.join("module");
        for (name, text) in self.files {
            let path = module.join(name);
            let folder = path.parent().unwrap_or(&module);
            fs::create_dir_all(folder).map_err(Error::file("make", folder))?;
            fs::write(&path, text).map_err(Error::file("write", &path))?;
        }
        let mut command = self.tool.command();
        command
            .current_dir(&module)
            // Neither cgo nor a workspace around the cache has a say in what comes out.
            .envs([("CGO_ENABLED", "0"), ("GOWORK", "off")])
            .args(["build", "-trimpath", "-buildvcs=false"]);
        if let Some(link) = self.link {
            command.args(["-ldflags", link]);
        }
        // A folder, which is there: each program goes into it by its own name.
        command.arg("-o").arg(into).arg("./...");
        self.tool.run(&format!("building {} with Go", self.name), &mut command)?;
        fs::remove_dir_all(&module).map_err(Error::file("clear", &module))
    }
}

/// The files of the module in the folder of this name beside `src`, for a file directly in it.
macro_rules! files {
    ($folder:literal: $($file:literal),+ $(,)?) => {
        &[$(($file, include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/", $folder, "/", $file)))),+]
    };
}
pub(crate) use files;
