# Cleans up behind one test process, however that ends: waits until the pipe from it breaks, then removes its
# servers, containers, networks and files.
#
# $1  the process's folder: */pid are its servers; a file `containers` is there if it used the container engine
# $2  the process's run id, the value of the label `quorlock-testkit.run`
# $3  `containers`: look for containers although the folder does not say so

trap '' INT TERM HUP
while read -r _; do :; done

remove_servers() {
  for file in "$1"/*/pid; do
    [ -f "$file" ] || continue
    pid=$(cat "$file")
    # The number may have been given to another process since: a server of ours works in its own folder.
    if [ ! -e /proc/self/cwd ] || [ "$(readlink "/proc/$pid/cwd")" = "${file%/pid}" ]; then
      kill -KILL "$pid"
    fi
  done
}

remove_containers() {
  ids=$(docker ps -aq --filter "label=quorlock-testkit.run=$1")
  [ -z "$ids" ] || docker rm -f -v $ids
  ids=$(docker network ls -q --filter "label=quorlock-testkit.run=$1")
  [ -z "$ids" ] || docker network rm $ids
}

# More than once: what the process had begun when it ended may come to life a moment later.
for pause in 0 0.5 2; do
  sleep "$pause"
  remove_servers "$1"
  if [ -f "$1/containers" ] || [ "$3" = containers ]; then
    remove_containers "$2"
  elif [ "$pause" = 0.5 ]; then
    break
  fi
done
rm -rf "$1"
