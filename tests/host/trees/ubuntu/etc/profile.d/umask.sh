umask u=rwx,g=rx,o=
readonly TMOUT=900
export TMOUT
