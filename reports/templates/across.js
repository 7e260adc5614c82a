// Several settings: the page is drawn already; the theme is all that changes.
follow(() => {});
