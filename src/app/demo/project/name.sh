# A name is greeted by name.
[ "$(sh ./greet Ann)" = "Hello, Ann!" ]
