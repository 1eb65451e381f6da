"""Where kefu keeps things: PostgreSQL is the truth, Redis the speed; both may be embedded.

Import the module you need (`kefu.storage.database`, `.redis`, `.migrate`, `.embedded`); this file
stays empty because the guard process imports the package and must stay small.
"""
