"""A Java for programs that end within seconds."""

# The first compiler only, and one thread that collects garbage: the rest pays off after minutes.
JAVA = ("java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC")
