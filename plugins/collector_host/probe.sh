# Read-only probe of one Linux host: POSIX sh, run as `sh -s SECTION ROOT FILE_LIMIT OUT_LIMIT [ARG…]`
# with this text on standard input, so that nothing is written on the target.
#
# What it prints is framed, so that hostile content cannot pass for a frame: each line of content starts
# with `|`, each line of a command's standard error with `!`, and frames with a capital letter:
#   P version section uid            the first line
#   F status modehex uid gid user group mtime size path    a file, its content behind it
#   D status path                    a folder that was listed
#   C status label                   a command, its output behind it; status run, missing or skipped
#   X status                         how that command ended
#   K name value                     a fact
#   Z                                the last line: without it the output was cut
# Status of a file: ok, denied, missing, special (no regular file), found (looked at, not read), failed.
#
# Password hashes, private keys and passwords of boot loaders are cut here and never leave the host.
set -u
LC_ALL=C
PATH=/usr/sbin:/usr/bin:/sbin:/bin:/usr/local/sbin:/usr/local/bin
export LC_ALL PATH
unset ENV BASH_ENV CDPATH GREP_OPTIONS POSIXLY_CORRECT 2>/dev/null
SECTION=$1 ROOT=$2 FILE_LIMIT=$3 OUT_LIMIT=$4
shift 4
MAX_FILES=2000
NL='
'
IFS=" $NL"

# --- framing ---------------------------------------------------------------------------------------

mark() {
  awk -v "m=$1" '{ print m $0 }'
}

# Whether a missing path is truly missing: its nearest folder can be searched.
reachable() {
  d=${1%/*}
  while [ -n "$d" ]; do
    if [ -d "$d" ]; then
      [ -x "$d" ]
      return
    fi
    d=${d%/*}
  done
  return 0
}

# Tell each path's state (T lines), then the stat line (S lines) of those that exist.
gather() {
  n=$#
  while [ "$n" -gt 0 ]; do
    p=$1
    shift
    n=$((n - 1))
    f=$ROOT$p
    case $p in
      *"$NL"*)
        echo "T name ${p%%"$NL"*}"
        continue
        ;;
    esac
    if [ -e "$f" ]; then
      if [ ! -f "$f" ]; then
        echo "T special $p"
      elif [ ! -r "$f" ]; then
        echo "T denied $p"
      fi
      set -- "$@" "$f"
    elif [ -L "$f" ]; then
      echo "T dangling $p"
    elif reachable "$f"; then
      echo "T missing $p"
    else
      echo "T denied $p"
    fi
  done
  if [ $# -gt 0 ]; then
    stat -L -c 'S %f %u %g %U %G %Y %s %n' -- "$@" 2>/dev/null
  fi
}

# read_files FILTER PATH…: frames with content. The filter says what is cut before it leaves the host.
read_files() {
  filter=$1
  shift
  [ $# -gt 0 ] || return 0
  gather "$@" | ROOT="$ROOT" FILTER="$filter" LIMIT="$FILE_LIMIT" awk '
    # The state of a password field. The hash itself is never printed.
    function password(h,   locked, id, a) {
      if (h == "") return "empty"
      if (h == "x") return "shadow"
      locked = (h ~ /^[!*]/) ? "locked" : "set"
      sub(/^[!*]+/, "", h)
      if (h == "") return "locked"
      id = ""
      if (h ~ /^\$/) { split(h, a, "$"); id = a[2] }
      else if (h ~ /^_/ && length(h) == 20) id = "bsdi"
      else if (length(h) == 13) id = "des"
      if (id == "") return "locked"
      if (length(id) > 12 || id !~ /^[0-9a-z-]+$/) id = "other"
      return locked "." id
    }
    function account(line, numbers,   f, n, i, out) {
      n = split(line, f, ":")
      if (line ~ /^[ \t]*(#|$)/) return "#"
      if (n < 3 || f[1] !~ /^[^$:]*[$]?$/ || length(f[1]) > 256) return "(cut)"
      out = f[1] ":" password(f[2])
      for (i = 3; i <= n; i++) {
        if (numbers && f[i] !~ /^-?[0-9]*$/) f[i] = "?"
        out = out ":" f[i]
      }
      return out
    }
    # A key of authorized_keys: the file may be a link to anything, so only what looks like one is shown.
    function public_key(line) {
      if (line ~ /^[ \t]*$/) return ""
      if (line ~ /^[ \t]*#/) return "#"
      if (line ~ /(ssh-|ecdsa-|sk-)[A-Za-z0-9@.-]+[ \t]+AAAA/) return line
      return "(cut)"
    }
    function boot(line,   a) {
      if (line ~ /^[ \t]*set[ \t]+superusers/) return line
      if (line ~ /^[ \t]*password/) { split(line, a); return a[1] " " a[2] " (cut)" }
      if (line ~ /^GRUB2_PASSWORD=/) return "GRUB2_PASSWORD=(cut)"
      return "\001"
    }
    function unit(line) {
      if (line ~ /^\[[A-Za-z]+\]/) return line
      if (line ~ /^(Description|User|OnCalendar|OnBootSec|OnUnitActiveSec|OnUnitInactiveSec|OnActiveSec|OnStartupSec|Unit|Service|WantedBy|RequiredBy|UpheldBy|Alias|Also|DefaultInstance|BusName|Type)[ \t]*=/) return line
      if (line ~ /^ExecStart[ \t]*=/) { sub(/^ExecStart[ \t]*=[ \t]*/, "", line); sub(/[ \t].*/, "", line); return "ExecStart=" line }
      return "\001"
    }
    # Of a start script: which program it starts, and whether it starts one at all.
    function script(line) {
      if (line ~ /^[ \t]*#/) return "\001"
      if (line ~ /^[ \t]*(DAEMON|DAEMON_BIN|PROG|EXEC|command|exec)=["\047]?\/[A-Za-z0-9._\/-]+["\047]?[ \t]*$/) {
        gsub(/["\047 \t]/, "", line)
        sub(/^[A-Za-z_]+=/, "", line)
        return "program=" line
      }
      if (line ~ /(start-stop-daemon|start_daemon|^[ \t]*daemon[ \t]|supervisor=)/) return "starts"
      return "\001"
    }
    function docker_unit(line) {
      if (line ~ /^ExecStart[ \t]*=/) return (line ~ /tcp:\/\//) ? "ExecStart tcp" : "ExecStart"
      return "\001"
    }
    function listening(line,   a) {
      split(line, a)
      return (a[4] == STATE) ? line : "\001"
    }
    function certificate(line) {
      if (line ~ /-----BEGIN [A-Z ]*CERTIFICATE-----/) { inside = 1; return line }
      if (line ~ /-----END [A-Z ]*CERTIFICATE-----/) { inside = 0; return line }
      if (line ~ /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/) return "(private key)"
      if (inside && line ~ /^[A-Za-z0-9+\/=\r \t]*$/) return line
      return "\001"
    }
    function package(line) {
      if (line == "" || line ~ /^(Package|Version|Architecture|Source|Status|Section|Maintainer):/) return line
      return "\001"
    }
    function alpine(line) {
      if (line == "" || line ~ /^[PVAom]:/) return line
      return "\001"
    }
    function module_name(line) {
      sub(/:.*/, "", line)
      sub(/.*\//, "", line)
      sub(/\.ko.*/, "", line)
      return line
    }
    function cut(line) {
      if (FILTER == "") return line
      if (FILTER == "passwd") return account(line, 0)
      if (FILTER == "shadow") return account(line, 1)
      if (FILTER == "keys") return public_key(line)
      if (FILTER == "boot") return boot(line)
      if (FILTER == "unit") return unit(line)
      if (FILTER == "script") return script(line)
      if (FILTER == "docker") return docker_unit(line)
      if (FILTER == "sockets") return listening(line)
      if (FILTER == "certificate") return certificate(line)
      if (FILTER == "dpkg") return package(line)
      if (FILTER == "apk") return alpine(line)
      if (FILTER == "modules") return module_name(line)
      if (FILTER == "btime") return (line ~ /^btime /) ? line : "\001"
      if (FILTER == "cpu") return (line ~ /^(processor|model name|Model|Hardware)[ \t]*:/) ? line : "\001"
      if (FILTER == "mem") return (line ~ /^MemTotal:/) ? line : "\001"
      if (FILTER == "gshadow") return group_shadow(line)
      return "(cut)"
    }
    function group_shadow(line,   f, n) {
      n = split(line, f, ":")
      if (line ~ /^[ \t]*(#|$)/) return "#"
      if (n != 4 || f[1] ~ /[$]./) return "(cut)"
      return f[1] ":" password(f[2]) ":" f[3] ":" f[4]
    }
    # A private key is told from its first lines; none of them is shown.
    function private_key(file, size,   line, n, first) {
      if (size < 1 || 65536 < size) return
      if ((getline line < file) < 1) return
      if (line !~ /-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----/) { close(file); return }
      first = line
      getline line < file
      n = "unencrypted"
      if (first ~ /ENCRYPTED/ || line ~ /^Proc-Type: 4,ENCRYPTED/) n = "encrypted"
      if (first ~ /OPENSSH/ && line !~ /^b3BlbnNzaC1rZXktdjEAAAAABG5vbmU/) n = "encrypted"
      print "|" n
      close(file)
    }
    function quoted(file) {
      gsub(/\047/, "\047\\\047\047", file)
      return "\047" file "\047"
    }
    function content(file, size,   line, source, total, r, shown) {
      if (FILTER == "look") return
      if (FILTER == "private") { private_key(file, size); return }
      inside = 0
      total = 0
      # A line of any length would be held in memory: what is larger than the limit goes through head.
      if (LIMIT + 0 < size + 0) {
        source = "head -c " LIMIT " < " quoted(file)
        while (0 < (r = (source | getline line))) { shown = cut(line); if (shown != "\001") print "|" shown }
        close(source)
        print "K truncated " substr(file, length(ENVIRON["ROOT"]) + 1)
        return
      }
      while (0 < (r = (getline line < file)) && total <= LIMIT + 0) {
        total += length(line) + 1
        shown = cut(line)
        if (shown != "\001") print "|" shown
      }
      if (r < 0) print "K failed " substr(file, length(ENVIRON["ROOT"]) + 1)
      close(file)
    }
    BEGIN { FILTER = ENVIRON["FILTER"]; LIMIT = ENVIRON["LIMIT"]; STATE = "0A" }
    /^T / {
      status = $2
      path = $0
      sub(/^T [a-z]+ /, "", path)
      if (status == "special") { state[path] = status; next }
      if (status == "denied") { state[path] = status; pending[path] = 1; next }
      print "F " status " 0 0 0 - - 0 0 " path
      next
    }
    /^S / {
      path = $0
      sub(/^S [0-9a-f]+ [0-9]+ [0-9]+ [^ ]+ [^ ]+ -?[0-9]+ [0-9]+ /, "", path)
      file = path
      path = substr(path, length(ENVIRON["ROOT"]) + 1)
      status = (FILTER == "look") ? "found" : (path in state) ? state[path] : "ok"
      delete pending[path]
      made = (path ~ /^\/(proc|sys)\//) ? 0 : $7
      print "F " status " " $2 " " $3 " " $4 " " $5 " " $6 " " made " " $8 " " path
      if (path ~ /^\/proc\/net\/udp/ || path ~ /^\/proc\/self\/net\/udp/) STATE = "07"
      else STATE = "0A"
      if (status == "ok") content(file, $8)
      next
    }
    END { for (path in pending) print "F denied 0 0 0 - - 0 0 " path }
  ' 2>/dev/null
}

read_plain() {
  read_files "" "$@"
}

# Stat only: nothing is read.
look() {
  read_files look "$@"
}

# in_folder FILTER FOLDER PATTERN…: the files of a folder that match.
in_folder() {
  filter_in=$1 folder=$2
  shift 2
  if [ ! -d "$ROOT$folder" ]; then
    if reachable "$ROOT$folder"; then
      echo "D missing $folder"
    else
      echo "D denied $folder"
    fi
    return 0
  fi
  if [ ! -r "$ROOT$folder" ] || [ ! -x "$ROOT$folder" ]; then
    echo "D denied $folder"
    return 0
  fi
  n=$#
  while [ "$n" -gt 0 ]; do
    pattern=$1
    shift
    n=$((n - 1))
    for f in "$ROOT$folder"/$pattern; do
      { [ -e "$f" ] || [ -L "$f" ]; } || continue
      set -- "$@" "${f#"$ROOT"}"
    done
  done
  if [ $# -gt $MAX_FILES ]; then
    echo "D budget $folder"
    return 0
  fi
  echo "D ok $folder"
  read_files "$filter_in" "$@"
}

# command LABEL PROGRAM ARG…: output, standard error and how it ended.
command_frame() {
  label=$1
  shift
  if ! command -v "$1" >/dev/null 2>&1; then
    echo "C missing $label"
    return 0
  fi
  echo "C run $label"
  {
    ended=$(
      {
        {
          "$@" 2>&3 </dev/null
          printf '\n%s' "$?" >&3
        } | head -c "$OUT_LIMIT" | mark '|' >&4
      } 3>&1 | tail -c 8192
    )
  } 4>&1
  printf '%s\n' "$ended" | awk 'NR > 1 { print "!" last } { last = $0 } END { print "X " last }'
}

# The same for commands that ask the running system; they say nothing about a folder tree.
live() {
  if [ -n "$ROOT" ]; then
    echo "C skipped $1"
    return 0
  fi
  command_frame "$@"
}

# Lines of standard input as the output of a command that always ends well.
lines_of() {
  echo "C run $1"
  head -c "$OUT_LIMIT" | mark '|'
  echo "X 0"
}

# Of these names, the processes that run: "uid name" lines; without names, programs: "> program" lines.
processes() {
  if [ ! -e "$ROOT/proc/1/status" ]; then
    if [ -d "$ROOT/proc/1" ]; then echo "C denied processes"; else echo "C skipped processes"; fi
    return 0
  fi
  if [ $# -gt 0 ]; then
    cat "$ROOT"/proc/[0-9]*/status 2>/dev/null | WANTED="$*" awk '
      BEGIN { n = split(ENVIRON["WANTED"], w, " "); for (i = 1; i <= n; i++) wanted[substr(w[i], 1, 15)] = 1 }
      /^Name:/ { sub(/^Name:[ \t]*/, ""); name = $0 }
      /^Uid:/ && (name in wanted) { print $3 " " name }'
  else
    ls -ld "$ROOT"/proc/[0-9]*/exe 2>/dev/null | awk '/ -> / { sub(/^.* -> /, ""); print "> " $0 }'
  fi | sort -u | lines_of processes
}

# Which of these programs are there: paths below the usual folders.
programs() {
  for name; do
    for folder in /usr/sbin /usr/bin /sbin /bin /usr/local/sbin /usr/local/bin /usr/libexec /usr/lib/systemd /lib/systemd; do
      if [ -e "$ROOT$folder/$name" ]; then
        echo "K program $folder/$name"
        break
      fi
    done
  done
}

# Which units start at boot: links in .wants and .requires folders, and masks.
unit_links() {
  set --
  for folder in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system /lib/systemd/system; do
    for f in "$ROOT$folder"/*.wants/* "$ROOT$folder"/*.requires/* "$ROOT$folder"/*.service "$ROOT$folder"/*.timer "$ROOT$folder"/*.socket; do
      if [ -L "$f" ]; then set -- "$@" "$f"; fi
    done
  done
  if [ $# -gt 0 ]; then
    ls -ld -- "$@" 2>/dev/null | awk -v "root=$ROOT" '/ -> / { sub(/^[^\/]*/, ""); print substr($0, length(root) + 1) }'
  fi | lines_of unit-links
  set --
  for f in "$ROOT"/etc/rc[2345S].d/S* "$ROOT"/etc/runlevels/*/*; do
    if [ -e "$f" ] || [ -L "$f" ]; then set -- "$@" "${f#"$ROOT"}"; fi
  done
  if [ $# -gt 0 ]; then
    printf '%s\n' "$@"
  fi | lines_of boot-links
  if [ -d "$ROOT/run/systemd/system" ]; then echo "K systemd running"; fi
  if [ -e "$ROOT/run/openrc/softlevel" ]; then echo "K openrc running"; fi
  for f in "$ROOT"/run/openrc/started/*; do
    if [ -e "$f" ] || [ -L "$f" ]; then echo "K started ${f##*/}"; fi
  done
}

# drop_ins NAME: a systemd settings file and what overrides it.
drop_ins() {
  for folder in /usr/lib/systemd /usr/local/lib/systemd /run/systemd /etc/systemd; do
    read_plain "$folder/$1"
    in_folder "" "$folder/$1.d" '*.conf'
  done
}

# Accounts by number, for naming owners.
names() {
  read_files passwd /etc/passwd /etc/group
}

# follow FILTER FILE… with SEED set to an awk program that prints what each file includes (globs allowed).
follow() {
  seen=$NL
  depth=0
  todo=$*
  while [ -n "$todo" ] && [ $depth -lt 8 ]; do
    depth=$((depth + 1))
    set -f
    set -- $todo
    set +f
    n=$#
    while [ "$n" -gt 0 ]; do
      f=$1
      shift
      n=$((n - 1))
      case $seen in *"$NL$f$NL"*) continue ;; esac
      seen=$seen$f$NL
      set -- "$@" "$f"
    done
    [ $# -gt 0 ] || return 0
    [ $# -lt $MAX_FILES ] || { echo "K budget includes"; return 0; }
    read_plain "$@"
    todo=
    n=$#
    while [ "$n" -gt 0 ]; do
      f=$1
      shift
      n=$((n - 1))
      if [ -f "$ROOT$f" ] && [ -r "$ROOT$f" ]; then set -- "$@" "$ROOT$f"; fi
    done
    [ $# -gt 0 ] || return 0
    set -f
    wanted=$(for f; do head -c "$FILE_LIMIT" -- "$f" | HERE="${f#"$ROOT"}" awk "$SEED"; done 2>/dev/null)
    set +f
    # Patterns stand for files of the host that is looked at, never for those of the working folder.
    set -f
    set -- $wanted
    set +f
    for pattern; do
      expand "$pattern"
    done
  done
}

# One include pattern: adds its files to todo, tells folders that could not be listed.
expand() {
  folder=${1%/*}
  case $folder in *[*?[]*) ;; *)
    if [ -d "$ROOT$folder" ] && { [ ! -r "$ROOT$folder" ] || [ ! -x "$ROOT$folder" ]; }; then
      echo "D denied $folder"
      return 0
    fi
    [ -d "$ROOT$folder" ] && echo "D ok $folder"
    ;;
  esac
  for f in "$ROOT"$1; do
    case $f in *" "* | *"$NL"*) continue ;; esac
    if [ -e "$f" ] || [ -L "$f" ]; then todo="$todo ${f#"$ROOT"}"; fi
    if [ ! -e "$f" ] && ! reachable "$f"; then echo "F denied 0 0 0 - - 0 0 ${f#"$ROOT"}"; fi
  done
}

# --- sections --------------------------------------------------------------------------------------

identity() {
  live id id
  live uname uname -n
  read_plain /etc/hostname /etc/os-release
}

os() {
  read_plain /etc/os-release /usr/lib/os-release /etc/timezone /etc/hostname /proc/sys/kernel/hostname \
    /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name /sys/class/dmi/id/chassis_asset_tag \
    /sys/hypervisor/type /run/systemd/container /run/cloud-init/cloud-id
  read_files cpu /proc/cpuinfo
  read_files mem /proc/meminfo
  in_folder "" /sys/devices/system/cpu/vulnerabilities '*'
  look /.dockerenv /run/.containerenv /usr/bin/cloud-init /proc/xen
  if [ -L "$ROOT/etc/localtime" ]; then echo "K localtime $(readlink "$ROOT/etc/localtime")"; fi
  live arch uname -m
  live virtualization systemd-detect-virt
}

kernel() {
  read_plain /proc/cmdline /proc/sys/kernel/osrelease /proc/sys/kernel/version /proc/sys/kernel/tainted \
    /sys/kernel/security/lockdown /sys/kernel/security/lsm /run/reboot-required.pkgs /var/run/reboot-required.pkgs
  read_files btime /proc/stat
  look /run/reboot-required /var/run/reboot-required /sys/firmware/efi /proc/modules /proc/sys/kernel/modprobe
  in_folder look /boot 'vmlinuz*' 'kernel-*'
  in_folder look /lib/modules '*'
  in_folder look /usr/lib/modules '*'
  for f in "$ROOT"/sys/firmware/efi/efivars/SecureBoot-*; do
    if [ -r "$f" ]; then command_frame secure-boot od -An -tu1 "$f"; fi
  done
}

boot() {
  read_files boot /boot/grub/grub.cfg /boot/grub2/grub.cfg /boot/efi/EFI/redhat/grub.cfg /boot/grub2/user.cfg \
    /boot/grub/user.cfg
  look /boot/loader/loader.conf /boot/extlinux.conf /boot/efi/loader/loader.conf /boot /boot/efi
}

modules() {
  read_plain /proc/modules /proc/sys/kernel/modules_disabled /proc/sys/kernel/osrelease /proc/cmdline
  for folder in /etc/modprobe.d /run/modprobe.d /usr/local/lib/modprobe.d /usr/lib/modprobe.d /lib/modprobe.d; do
    in_folder "" $folder '*.conf'
  done
  release=
  if [ -r "$ROOT/proc/sys/kernel/osrelease" ]; then release=$(head -n 1 "$ROOT/proc/sys/kernel/osrelease"); fi
  case $release in
    '' | *[!A-Za-z0-9._+~-]*) ;;
    *)
      look "/lib/modules/$release"
      FILE_LIMIT=$OUT_LIMIT
      read_files modules "/lib/modules/$release/modules.dep" "/lib/modules/$release/modules.builtin"
      ;;
  esac
}

sysctl_values() {
  # Values that only count or are drawn by chance, and a key of the network stack, are left out.
  if [ ! -d "$ROOT/proc/sys" ]; then
    echo "C skipped sysctl"
  else
    values | lines_of sysctl
  fi
  for folder in /etc/sysctl.d /run/sysctl.d /usr/local/lib/sysctl.d /usr/lib/sysctl.d /lib/sysctl.d; do
    in_folder "" $folder '*.conf'
  done
  read_plain /etc/sysctl.conf /etc/ufw/sysctl.conf /etc/ufw/ufw.conf /etc/default/ufw
  look /usr/lib/systemd/systemd-sysctl /lib/systemd/systemd-sysctl
}

values() {
  {
    { grep -r '' "$ROOT/proc/sys" 2>&3; } 3>&1
  } | ROOT="$ROOT" awk '
    /\/(stable_secret|tcp_fastopen_key|compact_memory|drop_caches|stat_refresh|random\/[a-z_]*|ns_last_pid|dentry-state|inode-nr|inode-state|file-nr|pty\/nr|nf_conntrack_count|cdrom\/info|spin_retry|aio-nr|sg-big-buff|sched_domain.*|flush)[ :]/ { next }
    { at = index($0, "/proc/sys/"); if (at) print substr($0, at + 10) }
  '
}

accounts() {
  read_files passwd /etc/passwd /etc/group
  read_files shadow /etc/shadow
  read_files gshadow /etc/gshadow
  read_plain /etc/login.defs /etc/nsswitch.conf /etc/shells
}

# Accounts with a login shell and their homes: "name uid directory" lines.
login_homes() {
  awk -F: '$7 !~ /(nologin|false|sync|shutdown|halt)$/ && $6 ~ /^\/./ && $6 !~ /[ \t]/ && $1 ~ /^[^ \t]+$/ { print $6 }' "$ROOT/etc/passwd" 2>/dev/null | sort -u
}

homes() {
  names
  set -f
  set -- $(login_homes)
  set +f
  look "$@"
  for home; do
    in_folder look "$home" '.[!.]*'
    in_folder private "$home/.ssh" '*'
  done
}

keys() {
  names
  patterns=
  if [ -z "$ROOT" ] && command -v sshd >/dev/null 2>&1; then
    patterns=$(sshd -T 2>/dev/null </dev/null | awk '$1 == "authorizedkeysfile" { $1 = ""; print; exit }')
  fi
  if [ -z "$patterns" ]; then
    patterns=$(cat "$ROOT"/etc/ssh/sshd_config.d/*.conf "$ROOT/etc/ssh/sshd_config" 2>/dev/null |
      awk 'tolower($1) == "match" { exit } tolower($1) == "authorizedkeysfile" { $1 = ""; print; exit }')
  fi
  echo "K patterns ${patterns:=.ssh/authorized_keys .ssh/authorized_keys2}"
  set -f
  set -- $(PATTERNS="$patterns" awk -F: '
    $1 ~ /^[^ \t]+$/ && $6 ~ /^\// && $6 !~ /[ \t]/ {
      n = split(ENVIRON["PATTERNS"], p, " ")
      for (i = 1; i <= n; i++) {
        path = p[i]
        if (path == "none") continue
        home = $6
        sub(/\/+$/, "", home)
        out = ""
        while (path != "") {
          at = index(path, "%")
          if (at == 0) { out = out path; break }
          out = out substr(path, 1, at - 1)
          c = substr(path, at + 1, 1)
          if (c == "h") out = out home
          else if (c == "u") out = out $1
          else if (c == "U") out = out $3
          else if (c == "%") out = out "%"
          path = substr(path, at + 2)
        }
        if (out !~ /^\//) out = home "/" out
        print $1 ":" out
      }
    }' "$ROOT/etc/passwd" 2>/dev/null)
  set +f
  n=$#
  while [ "$n" -gt 0 ]; do
    pair=$1
    shift
    n=$((n - 1))
    f=${pair#*:}
    # Most accounts have no such file; only what is there or cannot be seen is told.
    if [ -e "$ROOT$f" ] || ! reachable "$ROOT$f"; then
      echo "K user $pair"
      set -- "$@" "$f"
    fi
  done
  read_files keys "$@"
}

sudo_rules() {
  live version sudo -V | awk '!/^\|/ || !shown++'
  programs sudo doas sudo-rs run0
  read_plain /etc/nsswitch.conf
  SEED='
    /^[ \t]*[@#]include(dir)?[ \t]+/ {
      dir = ($1 ~ /includedir$/)
      path = $0
      sub(/^[ \t]*[@#]include(dir)?[ \t]+/, "", path)
      sub(/[ \t]+$/, "", path)
      gsub(/"/, "", path)
      if (path ~ /[ \t]/) next
      if (path !~ /^\//) path = "/etc/" path
      sub(/\/$/, "", path)
      print dir ? path "/*" : path
    }'
  follow /etc/sudoers
}

sshd_config() {
  programs sshd
  live sshd sshd -T
  SEED='
    BEGIN { n = split(ENVIRON["HERE"], part, "/") }
    tolower($1) == "include" || $0 ~ /^[ \t]*[Ii][Nn][Cc][Ll][Uu][Dd][Ee][ \t]*=/ {
      line = $0
      sub(/^[ \t]*[A-Za-z]+[ \t]*=?[ \t]*/, "", line)
      gsub(/"/, "", line)
      m = split(line, p, /[ \t]+/)
      for (i = 1; i <= m; i++) {
        if (p[i] ~ /^#/) break
        if (p[i] != "") print (p[i] ~ /^\//) ? p[i] : "/etc/ssh/" p[i]
      }
    }'
  follow /etc/ssh/sshd_config
  processes sshd
}

pam() {
  in_folder "" /etc/pam.d '*'
  in_folder "" /usr/lib/pam.d '*'
  read_plain /etc/pam.conf /etc/security/pwquality.conf /etc/security/faillock.conf /etc/security/pwhistory.conf \
    /etc/login.defs /etc/default/useradd /etc/passwdqc.conf
  in_folder "" /etc/security/pwquality.conf.d '*.conf'
}

shells() {
  read_plain /etc/shells
  if [ -r "$ROOT/etc/shells" ]; then
    set -f
    set -- $(awk '/^\// { print $1 }' "$ROOT/etc/shells" | head -n 100)
    set +f
    look "$@"
  fi
  read_plain /etc/profile
  in_folder "" /etc/profile.d '*.sh'
  read_plain /etc/bash.bashrc /etc/bashrc /etc/login.defs
  in_folder "" /etc/pam.d 'common-session*' 'system-auth' 'login' 'sshd' 'postlogin' 'base-session*'
}

limits() {
  read_plain /etc/security/limits.conf
  in_folder "" /etc/security/limits.d '*.conf'
  read_plain /proc/sys/fs/suid_dumpable /proc/sys/kernel/core_pattern
  drop_ins coredump.conf
  programs systemd-coredump
}

mounts() {
  read_plain /proc/self/mountinfo /etc/fstab
}

disks() {
  live lsblk lsblk -P -b -p -o NAME,KNAME,TYPE,FSTYPE,SIZE,RM,MOUNTPOINT,PKNAME
  read_plain /proc/swaps /etc/crypttab /proc/self/mountinfo
  set --
  for f in "$ROOT"/sys/block/dm-*/dm/uuid "$ROOT"/sys/block/dm-*/dm/name; do
    if [ -e "$f" ]; then set -- "$@" "${f#"$ROOT"}"; fi
  done
  read_plain "$@"
  for f in "$ROOT"/sys/block/dm-*/slaves/*; do
    if [ -e "$f" ]; then echo "K slave ${f#"$ROOT"/sys/block/}"; fi
  done
}

SENSITIVE="/etc/passwd /etc/passwd- /etc/shadow /etc/shadow- /etc/group /etc/group- /etc/gshadow /etc/gshadow-
/etc/security/opasswd /etc/nsswitch.conf /etc/login.defs /etc/shells /etc/hosts /etc/hosts.allow /etc/hosts.deny /etc/fstab
/etc/crypttab /etc/ssh /etc/ssh/sshd_config /etc/ssh/sshd_config.d /etc/sudoers /etc/sudoers.d /etc/sudo.conf
/etc/crontab /etc/cron.d /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/cron.yearly
/etc/cron.allow /etc/cron.deny /etc/at.allow /etc/at.deny /etc/anacrontab /var/spool/cron /var/spool/cron/crontabs
/var/spool/at /boot /boot/grub /boot/grub/grub.cfg /boot/grub2/grub.cfg /boot/efi /etc/default/grub /etc/pam.d /etc/pam.conf
/etc/security /etc/audit /etc/audit/auditd.conf /etc/audit/audit.rules /etc/audit/rules.d /var/log /var/log/audit
/var/log/audit/audit.log /var/log/journal /etc/rsyslog.conf /etc/rsyslog.d /etc/systemd/journald.conf
/usr/sbin/auditctl /usr/sbin/aureport /usr/sbin/ausearch /usr/sbin/auditd /usr/sbin/augenrules /sbin/auditctl
/etc/apt /etc/apt/sources.list /etc/apt/sources.list.d /etc/apt/trusted.gpg.d /usr/share/keyrings /etc/apt/keyrings
/etc/apt/auth.conf /etc/apt/auth.conf.d
/etc/yum.repos.d /etc/pki/rpm-gpg /etc/apk/keys /etc/apk/repositories /etc/ld.so.preload /etc/ld.so.conf /etc/ld.so.conf.d
/etc/profile /etc/profile.d /etc/bash.bashrc /etc/bashrc /etc/environment /etc/init.d /etc/systemd/system
/usr/lib/systemd/system /lib/systemd/system /etc/modprobe.d /etc/sysctl.conf /etc/sysctl.d /etc/issue /etc/issue.net
/etc/motd /etc/hosts.equiv /etc/ssl/private /etc/ssl/certs /etc/pki/tls/private /etc/krb5.keytab /etc/exports
/etc/samba/smb.conf /etc/docker /etc/docker/daemon.json /run/docker.sock /var/run/docker.sock /etc/kubernetes
/ /bin /sbin /usr /usr/bin /usr/sbin /usr/lib /lib /usr/local/bin /usr/local/sbin /etc /home /root /tmp /var/tmp /dev/shm /opt
/srv /var /run /usr/bin/su /usr/bin/sudo /bin/su"

files() {
  set -- $SENSITIVE
  for f in "$ROOT"/etc/ssh/ssh_host_* "$ROOT"/etc/ssl/private/* "$ROOT"/etc/pki/tls/private/* "$ROOT"/etc/sudoers.d/* \
    "$ROOT"/etc/cron.d/* "$ROOT"/etc/apt/sources.list.d/* "$ROOT"/etc/apt/trusted.gpg.d/* "$ROOT"/etc/audit/rules.d/* \
    "$ROOT"/etc/ssh/sshd_config.d/*; do
    if [ -e "$f" ]; then set -- "$@" "${f#"$ROOT"}"; fi
  done
  for folder in /etc/ssh /etc/ssl/private /etc/pki/tls/private /etc/sudoers.d /etc/cron.d /etc/audit/rules.d; do
    if [ -d "$ROOT$folder" ] && [ ! -r "$ROOT$folder" ]; then echo "D denied $folder"; fi
  done
  look "$@"
  for f; do
    if [ -L "$ROOT$f" ]; then echo "K link $f -> $(readlink "$ROOT$f")"; fi
  done
}

# busybox find runs a gathered -exec only at the top level of its expression, so there are no brackets
# around it. One walk for all that needs one: SUID, world-writable, unowned, capabilities. ARG: seconds, entries.
walk() {
  seconds=$1 entries=$2
  names
  read_plain /proc/self/mountinfo
  # find's own -nouser looks each file's owner up again; a list of the known numbers costs nothing.
  owners="! ( $(numbers /etc/passwd -user) ) -o ! ( $(numbers /etc/group -group) )"
  capable=getcap
  if ! command -v getcap >/dev/null 2>&1; then
    capable=true
    echo "K unsupported getcap"
  fi
  limited=
  if timeout 1 true >/dev/null 2>&1; then limited="timeout $seconds"; else echo "K unsupported timeout"; fi
  set --
  if [ -n "$ROOT" ]; then
    set -- "$ROOT"
  else
    for place in $(awk '{
        for (i = 7; i <= NF; i++) if ($i == "-") break
        if ($(i + 1) ~ /^(ext[234]|xfs|btrfs|zfs|f2fs|jfs|reiserfs|overlay|tmpfs|vfat|exfat|ntfs3?|bcachefs|aufs|ubifs|nilfs2)$/ && $5 !~ /\\/ && $5 !~ /^\/(proc|sys|dev\/pts)(\/|$)/) print $5
      }' /proc/self/mountinfo | sort -u); do
      set -- "$@" "$place"
    done
  fi
  for place; do echo "K walked ${place#"$ROOT"}"; done
  [ $# -gt 0 ] || return 0
  set -f
  out=$(
    command_frame walk $limited find "$@" -xdev \
      -path "*$NL*" \( ! -type l \( -perm -4000 -o -perm -2000 -o -perm -0002 -o $owners \) \
      -o -type f \( -perm -0100 -o -perm -0010 -o -perm -0001 \) \) -exec printf 'N\n' \; \
      -o -path "*$NL*" \
      -o ! -type l \( -perm -4000 -o -perm -2000 -o -perm -0002 -o $owners \) \
      -exec stat -c 'S %f %u %g %U %G %Y %s %n' -- {} + -name "" \
      -o -type f \( -perm -0100 -o -perm -0010 -o -perm -0001 \) -exec $capable -- {} + |
      awk -v "max=$entries" '/^\|/ && max < ++n { if (n == max + 1) print "K budget walk"; next } { print }' |
      in_tree
  )
  set +f
  printf '%s\n' "$out"
  if [ -d "$ROOT/var/lib/dpkg/info" ]; then
    # Packages list /bin/su where folders were merged into /usr, so both spellings are looked up.
    printf '%s\n' "$out" | awk '
      /^\|S 8[4-9a-f][0-9a-f][0-9a-f] / {
        sub(/^\|S [0-9a-f]+ [0-9]+ [0-9]+ [^ ]+ [^ ]+ -?[0-9]+ [0-9]+ /, "")
        path = $0
        print path
        if (path ~ /^\/usr\//) print substr(path, 5)
      }' | { grep -hxF -f - -- "$ROOT"/var/lib/dpkg/info/*.list 2>/dev/null || true; } | lines_of packaged
  fi
}

# Paths of a walk as they are within the tree that is looked at.
in_tree() {
  ROOT="$ROOT" awk '
    BEGIN { root = ENVIRON["ROOT"]; size = length(root) }
    size && /^\|S / {
      head = $0
      sub(/^\|S [0-9a-f]+ [0-9]+ [0-9]+ [^ ]+ [^ ]+ -?[0-9]+ [0-9]+ /, "", head)
      head = substr($0, 1, length($0) - length(head))
      path = substr($0, length(head) + size + 1)
      print head (path == "" ? "/" : path)
      next
    }
    size && substr($0, 1, size + 1) == "|" root { print "|" substr($0, size + 2); next }
    { print }'
}

# The numbers of all accounts or groups as tests for find.
numbers() {
  if [ ! -r "$ROOT$1" ]; then
    echo "$2 0"
    return 0
  fi
  awk -F: -v "test=$2" '
    $3 ~ /^[0-9]+$/ && !seen[$3]++ && n < 500 { printf "%s%s %s", n++ ? " -o " : "", test, $3 }
    END { if (!n) printf "%s 0", test }' "$ROOT$1" 2>/dev/null
}

logs() {
  names
  if [ ! -d "$ROOT/var/log" ]; then
    echo "D missing /var/log"
    return 0
  fi
  command_frame logs find "$ROOT/var/log" -xdev \
    -path "*$NL*" -type f -exec printf 'N\n' \; \
    -o -path "*$NL*" \
    -o -type f -exec stat -c 'S %f %u %g %U %G %Y %s %n' -- {} + | in_tree
}

firewall() {
  programs nft iptables ip6tables ufw firewall-cmd firewalld
  live nft nft -j list ruleset
  # Without -t, legacy iptables-save shows the tables that are there and loads none.
  live iptables iptables-save
  live ip6tables ip6tables-save
  read_plain /etc/ufw/ufw.conf /etc/default/ufw /proc/net/ip_tables_names /proc/net/ip6_tables_names \
    /proc/sys/net/ipv6/conf/all/disable_ipv6
  look /proc/net/if_inet6 /etc/iptables/rules.v4 /etc/iptables/rules.v6 /etc/sysconfig/iptables /etc/sysconfig/ip6tables \
    /etc/nftables.conf /etc/sysconfig/nftables.conf /etc/nftables.nft /etc/iptables/rules-save /etc/iptables/rules6-save
  read_files modules /proc/modules
  unit_links
}

ports() {
  names
  read_files sockets /proc/net/tcp /proc/net/tcp6 /proc/net/udp /proc/net/udp6
  [ -z "$ROOT" ] || return 0
  ls -l /proc/[0-9]*/fd 2>/dev/null | awk '
    /^\/proc\/[0-9]+\/fd:$/ { split($0, a, "/"); pid = a[3]; next }
    /socket:\[[0-9]+\]$/ { inode = $NF; gsub(/[^0-9]/, "", inode); print pid " " inode }' | lines_of sockets
  {
    cat /proc/[0-9]*/status 2>/dev/null | awk '
      /^Name:/ { sub(/^Name:[ \t]*/, ""); name = $0 } /^Pid:/ { pid = $2 } /^VmSize:/ { print "n " pid " " name }'
    ls -ld /proc/[0-9]*/exe 2>/dev/null | awk '/ -> / { split($0, a, " /proc/"); split(a[2], b, "/"); sub(/^.* -> /, ""); print "x " b[1] " " $0 }'
  } | lines_of pids
}

services() {
  if [ -d "$ROOT/run/systemd/system" ]; then
    live units systemctl show --no-pager --all --type=service --type=timer --type=socket \
      -p Id -p LoadState -p ActiveState -p SubState -p UnitFileState -p User -p FragmentPath -p DropInPaths
    live unit-files systemctl list-unit-files --no-pager --no-legend --type=service --type=timer --type=socket
  fi
  for folder in /etc/systemd/system /run/systemd/system /usr/local/lib/systemd/system /usr/lib/systemd/system; do
    in_folder unit $folder '*.service' '*.timer' '*.socket'
    set --
    for f in "$ROOT$folder"/*.service.d/*.conf "$ROOT$folder"/*.timer.d/*.conf; do
      if [ -e "$f" ]; then set -- "$@" "${f#"$ROOT"}"; fi
    done
    read_files unit "$@"
  done
  if [ ! "$ROOT/lib" -ef "$ROOT/usr/lib" ]; then in_folder unit /lib/systemd/system '*.service' '*.timer' '*.socket'; fi
  in_folder script /etc/init.d '*'
  unit_links
  processes
}

packages() {
  FILE_LIMIT=$((FILE_LIMIT * 64))
  read_files dpkg /var/lib/dpkg/status
  read_files apk /lib/apk/db/installed
  look /var/lib/rpm/rpmdb.sqlite /var/lib/rpm/Packages /usr/lib/sysimage/rpm/rpmdb.sqlite /usr/lib/sysimage/rpm/Packages.db
  if [ -e "$ROOT/var/lib/rpm" ] || [ -e "$ROOT/usr/lib/sysimage/rpm" ]; then
    command_frame rpm rpm ${ROOT:+--root "$ROOT"} -qa --queryformat '%{NAME}\t%{VERSION}-%{RELEASE}\t%{ARCH}\t%{SOURCERPM}\t%{GROUP}\t%{PACKAGER}\n'
  fi
}

updates() {
  in_folder look /var/lib/apt/lists '*_Packages*' '*Release'
  look /var/cache/dnf /var/cache/yum /var/lib/dpkg/status
  in_folder look /var/cache/apk 'APKINDEX*'
  in_folder "" /etc/apt/preferences.d '*'
  read_plain /etc/apt/preferences
  if [ -r "$ROOT/var/lib/dpkg/status" ]; then offered; fi
  if [ -e "$ROOT/lib/apk/db/installed" ]; then live apk apk --no-network version -l '<'; fi
}

# Versions that the local lists offer of what is installed: "list name arch version" lines.
offered() {
  set --
  for f in "$ROOT"/var/lib/apt/lists/*_Packages "$ROOT"/var/lib/apt/lists/*_Packages.*; do
    if [ -f "$f" ] && [ -r "$f" ]; then set -- "$@" "$f"; fi
  done
  [ $# -gt 0 ] || return 0
  for f in "$ROOT"/var/lib/apt/lists/*Release; do
    if [ -f "$f" ] && [ -r "$f" ]; then
      echo "F ok 0 0 0 - - 0 0 ${f#"$ROOT"}"
      head -n 40 "$f" | awk '/^(Origin|Label|Suite|Codename|NotAutomatic|ButAutomaticUpgrades|Date):/ { print "|" $0 }'
    fi
  done
  {
    awk '/^(Package|Status|Version|Architecture):/ { print "I " $0 } /^$/ { print "I" } END { print "I" }' "$ROOT/var/lib/dpkg/status"
    for f; do
      echo "L ${f#"$ROOT"}"
      plain "$f" | grep -E '^(Package|Version|Architecture):'
    done
  } 2>/dev/null | awk '
    $1 == "I" {
      if (NF < 2) { if (ok && name != "") print "I " name " " arch " " version " " hold; if (ok) mine[name] = 1; name = ""; ok = 0; hold = "" }
      else if ($2 == "Package:") name = $3
      else if ($2 == "Architecture:") arch = $3
      else if ($2 == "Version:") version = $3
      else if ($2 == "Status:") { ok = ($5 == "installed"); hold = $3 }
      next
    }
    $1 == "L" { print; next }
    $1 == "Package:" { name = $2; version = ""; arch = ""; next }
    $1 == "Version:" { version = $2 }
    $1 == "Architecture:" { arch = $2 }
    (name in mine) && version != "" && arch != "" { print "A " name " " arch " " version; version = "" }
  ' | lines_of offered
}

plain() {
  case $1 in
    *.lz4 | *.xz | *.zst | *.bz2 | *.gz) /usr/lib/apt/apt-helper cat-file "$1" || echo "Package: (unreadable)" ;;
    *) cat -- "$1" ;;
  esac
}

update_policy() {
  live apt-config apt-config dump
  if [ -n "$ROOT" ]; then
    in_folder "" /etc/apt/apt.conf.d '*'
    read_plain /etc/apt/apt.conf
  fi
  read_plain /etc/apt/sources.list
  in_folder "" /etc/apt/sources.list.d '*.list' '*.sources'
  in_folder "" /etc/yum.repos.d '*.repo'
  read_plain /etc/dnf/dnf.conf /etc/yum.conf /etc/dnf/automatic.conf /etc/apk/repositories /etc/os-release
  look /usr/bin/unattended-upgrade /usr/bin/unattended-upgrades /usr/bin/dnf-automatic /usr/libexec/dnf-automatic \
    /etc/cron.daily/apt-compat /etc/periodic/daily/apk-upgrade /usr/bin/apt-get /usr/bin/dnf /usr/bin/yum /sbin/apk
  unit_links
}

containers() {
  programs dockerd docker containerd podman crio kubelet lxc-start lxd snapd
  look /run/docker.sock /var/run/docker.sock /run/containerd/containerd.sock /run/podman/podman.sock /run/crio/crio.sock \
    /run/snapd.socket /var/lib/lxd/unix.socket /var/lib/kubelet /usr/lib/snapd/snapd
  read_plain /etc/docker/daemon.json /etc/containerd/config.toml /etc/containers/containers.conf /etc/crio/crio.conf
  read_files docker /etc/systemd/system/docker.service /usr/lib/systemd/system/docker.service /lib/systemd/system/docker.service
  in_folder docker /etc/systemd/system/docker.service.d '*.conf'
  for folder in /var/lib/docker/containers /var/lib/containers/storage/overlay-containers /var/lib/lxc \
    /run/containerd/io.containerd.runtime.v2.task/k8s.io; do
    count_in "$folder"
  done
}

count_in() {
  if [ ! -d "$ROOT$1" ]; then
    if reachable "$ROOT$1"; then echo "D missing $1"; else echo "D denied $1"; fi
  elif [ ! -r "$ROOT$1" ]; then
    echo "D denied $1"
  else
    n=0
    for f in "$ROOT$1"/*; do
      if [ -d "$f" ]; then n=$((n + 1)); fi
    done
    echo "K count $n $1"
  fi
}

protection() {
  programs aide tripwire samhain wazuh-agentd ossec-agentd osqueryd falco clamd clamscan freshclam rkhunter chkrootkit \
    fail2ban-server crowdsec mdatp falcond sshguard
  look /var/lib/aide/aide.db /var/lib/aide/aide.db.gz /var/lib/tripwire /var/ossec/bin/wazuh-agentd /var/ossec/bin/ossec-agentd \
    /opt/CrowdStrike/falcond /opt/sentinelone/bin/sentinelctl /opt/microsoft/mdatp/sbin/wdavdaemon \
    /var/lib/clamav/daily.cvd /var/lib/clamav/daily.cld /var/lib/clamav/main.cvd /var/lib/rkhunter/db/rkhunter.dat
  set --
  for f in "$ROOT"/etc/cron.d/* "$ROOT"/etc/cron.daily/* "$ROOT"/etc/cron.weekly/* "$ROOT"/etc/crontab "$ROOT"/var/spool/cron/crontabs/root \
    "$ROOT"/var/spool/cron/root "$ROOT"/etc/systemd/system/*.service "$ROOT"/usr/lib/systemd/system/*aide*.service; do
    if [ -f "$f" ]; then set -- "$@" "$f"; fi
  done
  for name in aide tripwire rkhunter chkrootkit clamscan; do
    if [ $# -gt 0 ]; then
      grep -l -e "$name" -- "$@" 2>/dev/null | head -n 20 | awk -v "root=$ROOT" -v "name=$name" '{ print name " " substr($0, length(root) + 1) }'
    fi
  done | lines_of scheduled
  for f in "$ROOT"/etc/aide.conf "$ROOT"/etc/aide/aide.conf "$ROOT"/etc/aide/aide.conf.d; do
    if [ -e "$f" ]; then
      if [ -r "$f" ]; then
        grep -rlE '/s?bin/audit(ctl|d)' "$f" 2>/dev/null | head -n 5 | lines_of aide-audit
      else
        echo "F denied 0 0 0 - - 0 0 ${f#"$ROOT"}"
      fi
    fi
  done
  unit_links
  processes clamd freshclam fail2ban-server crowdsec wdavdaemon falcon-sensor falcond sentinelone-agent sshguard wazuh-agentd ossec-agentd osqueryd falco samhain
}

audit() {
  programs auditd auditctl
  live status auditctl -s
  live rules auditctl -l
  read_plain /etc/audit/auditd.conf /etc/audit/audit.rules /proc/cmdline /etc/audit/plugins.d/au-remote.conf \
    /etc/audisp/plugins.d/au-remote.conf /etc/audit/plugins.d/syslog.conf
  in_folder "" /etc/audit/rules.d '*.rules'
  unit_links
  processes auditd
}

logging() {
  programs systemd-journald rsyslogd syslog-ng syslogd
  look /var/log/journal
  drop_ins journald.conf
  drop_ins journal-upload.conf
  SEED='
    /^[ \t]*\$IncludeConfig[ \t]/ { print $2 }
    /^[ \t]*include\(.*file=/ { line = $0; sub(/.*file="/, "", line); sub(/".*/, "", line); if (line ~ /^\// && line !~ /[ \t]/) print line }'
  follow /etc/rsyslog.conf
  unit_links
  processes rsyslogd systemd-journald syslog-ng syslogd
}

time_sync() {
  programs chronyd ntpd ntpsec systemd-timesyncd openntpd
  read_plain /etc/chrony/chrony.conf /etc/chrony.conf /etc/ntp.conf /etc/ntpsec/ntp.conf /etc/openntpd/ntpd.conf \
    /etc/conf.d/ntpd /etc/init.d/ntpd /sys/class/ptp/ptp0/clock_name
  in_folder "" /etc/chrony/conf.d '*.conf'
  in_folder "" /etc/chrony/sources.d '*.sources'
  in_folder "" /etc/chrony.d '*.conf'
  drop_ins timesyncd.conf
  look /run/systemd/timesync/synchronized
  if [ -z "$ROOT" ] && [ -d /run/systemd/system ]; then live timedatectl timedatectl show; fi
  if [ -z "$ROOT" ] && command -v chronyc >/dev/null 2>&1; then live chronyc chronyc -n tracking; fi
  unit_links
  processes chronyd ntpd ntpsec systemd-timesyncd openntpd
}

cron() {
  programs cron crond anacron atd at fcron
  read_plain /etc/crontab /etc/anacrontab /etc/cron.allow /etc/cron.deny /etc/at.allow /etc/at.deny
  in_folder "" /etc/cron.d '*' '.[!.]*'
  in_folder "" /var/spool/cron/crontabs '*'
  in_folder "" /var/spool/cron '*'
  if [ ! "$ROOT/etc/crontabs" -ef "$ROOT/var/spool/cron/crontabs" ]; then in_folder "" /etc/crontabs '*'; fi
  for folder in /etc/cron.hourly /etc/cron.daily /etc/cron.weekly /etc/cron.monthly /etc/periodic/15min /etc/periodic/hourly \
    /etc/periodic/daily /etc/periodic/weekly /etc/periodic/monthly; do
    in_folder look $folder '*' '.[!.]*'
  done
  look /var/lib/dpkg/status /lib/apk/db/installed
  unit_links
  processes cron crond fcron atd anacron
}

mac() {
  programs apparmor_parser
  read_plain /sys/module/apparmor/parameters/enabled /sys/kernel/security/apparmor/profiles /etc/selinux/config \
    /sys/fs/selinux/enforce /sys/fs/selinux/deny_unknown /proc/cmdline /sys/kernel/security/lsm
  in_folder look /etc/apparmor.d '*'
  in_folder look /etc/apparmor.d/disable '*'
}

# ARG: more files or folders to look through.
certificates() {
  echo "K option $#"
  for p; do echo "K given $p"; done
  n=$#
  while [ "$n" -gt 0 ]; do
    p=$1
    shift
    n=$((n - 1))
    if [ -d "$ROOT$p" ] && { [ ! -r "$ROOT$p" ] || [ ! -x "$ROOT$p" ]; }; then
      echo "D denied $p"
    elif [ -e "$ROOT$p" ]; then
      set -- "$@" "$ROOT$p"
    elif reachable "$ROOT$p"; then
      echo "D missing $p"
    else
      echo "D denied $p"
    fi
  done
  for p in /etc/ssl/private /etc/pki/tls/certs /etc/pki/nginx /etc/letsencrypt/live /etc/nginx /etc/apache2 /etc/httpd /etc/postfix \
    /etc/dovecot /etc/exim4 /etc/postgresql /etc/mysql /etc/haproxy /etc/openvpn /etc/ipsec.d /etc/swanctl /etc/kubernetes/pki \
    /etc/docker/certs.d /etc/lighttpd /etc/ldap /etc/openldap /etc/cockpit /etc/rabbitmq /etc/redis /etc/grafana /var/lib/kubelet/pki \
    /etc/caddy /etc/stunnel; do
    if [ -d "$ROOT$p" ]; then
      if [ ! -r "$ROOT$p" ] || [ ! -x "$ROOT$p" ]; then echo "D denied $p"; else set -- "$@" "$ROOT$p"; fi
    fi
  done
  for f in "$ROOT"/etc/ssl/*.pem "$ROOT"/etc/ssl/*.crt "$ROOT"/etc/ssl/certs/ssl-cert-snakeoil.pem; do
    if [ -f "$f" ]; then set -- "$@" "$f"; fi
  done
  if [ $# -gt 0 ]; then
    found=$({
      find "$@" -maxdepth 5 \( -name '*.pem' -o -name '*.crt' -o -name '*.cer' -o -name '*.der' \) ! -name '*[ 	]*' ! -name "*$NL*" 2>/dev/null
      configured "$@"
    } | awk -v "root=$ROOT" '/^\// && !seen[$0]++ { print substr($0, length(root) + 1) }' | head -n 501)
  else
    found=
  fi
  set -f
  set -- $found
  set +f
  if [ $# -gt 500 ]; then echo "K budget certificates"; fi
  read_files certificate "$@"
}

# Certificates that the settings of servers name.
configured() {
  set -- "$ROOT/etc/nginx" "$ROOT/etc/apache2" "$ROOT/etc/httpd" "$ROOT/etc/postfix/main.cf" "$ROOT/etc/dovecot" "$ROOT/etc/haproxy" \
    "$ROOT/etc/postgresql" "$ROOT/etc/lighttpd"
  grep -rhE '^[ \t]*(ssl_certificate|SSLCertificateFile|SSLCertificateChainFile|smtpd_tls_cert_file|ssl_cert|ssl_cert_file|ssl.pemfile)[ \t=]' "$@" 2>/dev/null |
    awk -v "root=$ROOT" '{ line = $0; sub(/^[ \t]*[A-Za-z_.]+[ \t]*=?[ \t]*/, "", line); gsub(/["\047;<]/, "", line); sub(/[ \t].*/, "", line); if (line ~ /^\//) print root line }'
}

trust() {
  FILE_LIMIT=$OUT_LIMIT
  for f in /etc/ssl/certs/ca-certificates.crt /etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem /etc/ssl/ca-bundle.pem; do
    if [ -e "$ROOT$f" ]; then read_files certificate "$f"; fi
  done
  in_folder certificate /usr/local/share/ca-certificates '*.crt' '*/*.crt'
  in_folder certificate /etc/pki/ca-trust/source/anchors '*'
  in_folder certificate /etc/pki/trust/anchors '*'
}

banners() {
  read_plain /etc/issue /etc/issue.net /etc/motd
  in_folder "" /etc/issue.d '*.issue'
  read_plain /etc/os-release
}

crypto() {
  read_plain /proc/sys/crypto/fips_enabled /etc/crypto-policies/config /etc/crypto-policies/state/current \
    /etc/ssl/openssl.cnf /etc/pki/tls/openssl.cnf
  live openssl openssl version
}

echo "P 1 $SECTION $(id -u)"
if [ -n "$ROOT" ]; then echo "K tree $ROOT"; fi
case $SECTION in
  identity | os | kernel | boot | modules | accounts | homes | keys | pam | shells | limits | mounts | disks | files | walk | logs | firewall | ports | services | packages | updates | containers | protection | audit | logging | cron | mac | certificates | trust | banners | crypto) "$SECTION" "$@" ;;
  sysctl) sysctl_values ;;
  sudo) sudo_rules ;;
  sshd) sshd_config ;;
  time) time_sync ;;
  update-policy) update_policy ;;
  *)
    echo "K unknown section"
    ;;
esac
echo Z
