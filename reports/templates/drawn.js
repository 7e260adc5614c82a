// A page that is drawn already: the theme is all that changes.
follow(() => {});
