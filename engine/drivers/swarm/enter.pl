# Runs a command in a dyno's container as its launcher would: one pipe for output, a terminal of the right size, no way to
# more rights. Given to perl -T by its text, since a container may be older than this file.
#
#   perl -T -e TEXT UNSET LINESxCOLUMNS SECONDS COMMAND [ARGUMENT …]
use strict;
use warnings;
use POSIX ();

my ($PR_SET_NO_NEW_PRIVS, $TIOCSWINSZ) = (38, 0x5414);
my %PRCTL = (x86_64 => 157, aarch64 => 167);
my ($unset, $size, $seconds, @command) = map { /\A(.*)\z/s; $1 } @ARGV;

$ENV{$_} = $ENV{$_} =~ /\A(.*)\z/s ? $1 : '' for keys %ENV;
delete $ENV{$unset} if $unset;
open(STDERR, '>&', \*STDOUT) or exit 126;
ioctl(STDIN, $TIOCSWINSZ, pack('S4', split(/x/, $size), 0, 0)) if $size;
my $prctl = $PRCTL{ (POSIX::uname())[4] };
exit 126 if $prctl and syscall($prctl, $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0;
alarm $seconds;    # should the platform be gone by then
# Perl itself would run nothing with a PATH that has a folder like "bin" in it, or one that others may write to.
my @path = defined $ENV{PATH} ? ("PATH=$ENV{PATH}") : ('--unset=PATH');
$ENV{PATH} = '/usr/bin:/bin';
no warnings 'exec';
exec {'/usr/bin/env'} 'env', @path, @command or exit 127;
