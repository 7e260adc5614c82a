"""Files on disk: run folders, the record log, saved reference runs, strict YAML."""
