#!/usr/bin/perl -T
# The first process of a dyno in its container: brings the slug into the dyno's home, runs the command, passes signals on
# to all processes, and ends with the command's status. Perl, since every Debian and Ubuntu image has it; tainted, so that
# PERL5LIB and the like in an app's config are the app's alone.
#
#   launcher [--slug FOLDER] [--unset NAME] [--size LINESxCOLUMNS] -- COMMAND [ARGUMENT …]
#   launcher --wait SECONDS
#
# The latter was started ahead: it waits for so long to be told its arguments and its environment.
use strict;
use warnings;
use POSIX qw(:sys_wait_h);

my ($SLUG, $HOME, $SPARE) = ('/slug', '/app', '/.slipway/spare');
my ($PR_SET_NO_NEW_PRIVS, $TIOCSWINSZ) = (38, 0x5414);
my %PRCTL = (x86_64 => 157, aarch64 => 167);

sub untainted { my ($text) = @_; $text =~ /\A(.*)\z/s; return $1; }

sub give_up {
    my ($why) = @_;
    print STDOUT "The dyno could not be started: $why\n";
    exit 126;
}

# Perl itself would run nothing with a PATH that has a folder like "bin" in it, or one that others may write to.
sub become {
    my @path = defined $ENV{PATH} ? ("PATH=$ENV{PATH}") : ('--unset=PATH');
    $ENV{PATH} = '/usr/bin:/bin';
    no warnings 'exec';
    exec {'/usr/bin/env'} 'env', @path, @_ or give_up("$_[0]: $!");
}

sub await_start {
    my ($seconds) = @_;
    local $SIG{TERM} = sub { exit 143 };
    local $SIG{ALRM} = sub { exit 0 };
    alarm $seconds;
    open(my $pipe, '<', "$SPARE/start") or give_up("it was not told what to run: $!");
    local $/;
    my @words = split /\0/, <$pipe> // '', -1;
    alarm 0;
    pop @words;
    give_up('it was not told all of what to run') unless @words and pop @words eq 'end';
    my @arguments = map { untainted($_) } splice(@words, 0, 1 + $words[0]);
    for (@words) {    # what its image has stays
        my ($name, $value) = /\A([^=]+)=(.*)\z/s or next;
        $ENV{$name} = $value;
    }
    # As one that was told at once, for whoever looks at its process.
    become('/usr/bin/perl', '-T', untainted($0), '--slug', "$SPARE/slug", @arguments[1 .. $#arguments]);
}

sub bring_slug {
    opendir(my $folder, $SLUG) or return;
    my @names = map { "$SLUG/" . untainted($_) } grep { $_ ne '.' && $_ ne '..' } readdir $folder;
    closedir $folder;
    return unless @names;
    local $ENV{LD_PRELOAD};
    local $ENV{PATH} = '/usr/bin:/bin';
    delete $ENV{LD_PRELOAD};
    system('/bin/cp', '-dR', '--preserve=mode,timestamps,links', '-t', $HOME, '--', @names) == 0
        or give_up('the slug could not be brought to its home');
}

$ENV{$_} = untainted($ENV{$_}) for keys %ENV;
await_start(untainted($ARGV[1])) if @ARGV and $ARGV[0] eq '--wait';
open(STDERR, '>&', \*STDOUT) or exit 126;    # one pipe, so that lines keep their order
while (@ARGV and (my $option = shift @ARGV) ne '--') {
    if ($option eq '--slug') { $SLUG = untainted(shift @ARGV); }
    elsif ($option eq '--unset') { delete $ENV{ shift @ARGV }; }
    elsif ($option eq '--size') {
        my ($lines, $columns) = split /x/, untainted(shift @ARGV);
        ioctl(STDIN, $TIOCSWINSZ, pack('S4', $lines, $columns, 0, 0));
    }
}
my @command = map { untainted($_) } @ARGV;
my $prctl = $PRCTL{ (POSIX::uname())[4] };
syscall($prctl, $PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 or give_up('its rights could not be fixed') if $prctl;

my ($stopping, $hung_up, $child) = (0, 0, 0);
$SIG{TERM} = sub { $stopping = 1; kill('TERM', -1) if $child; };
$SIG{HUP} = sub { $hung_up = 1; kill('HUP', -1) if $child; };
$SIG{INT} = $SIG{QUIT} = sub { };            # a terminal sends them to its foreground itself
bring_slug();
chdir $HOME or give_up("there is no $HOME");
exit 143 if $stopping;
exit 129 if $hung_up;

$child = fork // give_up("there is no process for it: $!");
if ($child == 0) {
    $SIG{$_} = 'DEFAULT' for qw(TERM HUP INT QUIT PIPE);
    become(@command);
}
kill('TERM', -1) if $stopping;
kill('HUP', -1) if $hung_up;
my $code;
while (1) {
    my $pid = waitpid(-1, 0);
    my $status = $?;
    if ($pid == $child) {
        $code = WIFEXITED($status) ? WEXITSTATUS($status) : 128 + WTERMSIG($status);
        last unless $stopping;               # what it left behind ends with this process
    }
    last if $pid == -1 and not $!{EINTR};    # all have ended
}
exit($code // 143);
