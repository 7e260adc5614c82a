"""The viewer: the pages over whole run folders, served to one reader on this machine (`viubench view`)."""
