package static

// KindName is the kind's name in specs and catalogues.
const KindName = "static"
