# With no name the world is greeted.
said=$(sh ./greet)
[ "$said" = "Hello, world!" ] || { echo "greet said '$said', not 'Hello, world!'"; exit 1; }
