#!/usr/bin/perl -T
# Lets the platform reach the engine of this node: keeps a few calls to it waiting, and joins each that it takes to a
# connection of the engine's socket. Perl and openssl, since every stack image has them.
#
# Environment: SLIPWAY_WAY_TO (host:port), SLIPWAY_WAY_NAME (in the platform's certificate), SLIPWAY_WAY_CA (the authority's
# certificate, PEM), SLIPWAY_WAY_TOKEN (who we are), SLIPWAY_WAY_SOCKET (the engine's).
#
# On a call either side sends frames: their length in 4 bytes, then that many bytes. Length 0 ends a direction, and
# 0xFFFFFFFF says that the sender is alive. Before, while it waits, both send dots, until the platform sends a plus, and we.
use strict;
use warnings;
use IO::Select;
use IO::Socket::UNIX;
use IPC::Open2;
use Socket qw(SOCK_STREAM);

my ($WAITING, $PAUSE, $BEAT, $DEAF) = (3, 1, 10, 40);
my $CA = untainted($ENV{TMPDIR} // '/tmp') . '/ca.pem';
my $ALIVE = pack('N', 0xFFFFFFFF);
$ENV{PATH} = '/usr/bin:/bin';
delete @ENV{qw(ENV BASH_ENV CDPATH IFS)};

sub untainted { my ($text) = @_; $text =~ /\A(.*)\z/s; return $1; }

sub write_all {
    my ($to, $data) = @_;
    for (my $done = 0; $done < length $data;) {
        my $count = syswrite($to, $data, length($data) - $done, $done);
        exit 1 unless defined $count;
        $done += $count;
    }
}

# Two processes, so that neither direction has to wait for the other: this one carries what the engine says.
sub join_both {
    my ($in, $out, $engine) = @_;
    my $me = $$;
    my $other = fork // return;
    if ($other == 0) {
        carry_in($in, $engine);
        kill 'TERM', $me;
        exit 0;
    }
    while (1) {
        if (IO::Select->new($engine)->can_read($BEAT)) {
            my $count = sysread $engine, my $data, 65536;
            write_all($out, pack('N', $count // 0) . ($data // ''));
            last unless $count;
        }
        else { write_all($out, $ALIVE) }
    }
    sleep $DEAF;    # until the platform hangs up, which ends us
    kill 'TERM', $other;
}

sub carry_in {
    my ($in, $engine) = @_;
    my $buffer = '';
    while (IO::Select->new($in)->can_read($DEAF)) {
        return unless sysread $in, $buffer, 65536, length $buffer;    # the call broke
        while (length $buffer >= 4) {
            my $size = unpack 'N', $buffer;
            if ($size == 0xFFFFFFFF) { substr($buffer, 0, 4, ''); next; }
            last if length $buffer < 4 + $size;
            if ($size) { write_all($engine, substr $buffer, 4, $size); }
            else       { shutdown $engine, 1; }
            substr($buffer, 0, 4 + $size, '');
        }
    }
}

# One call: waits until it is taken, says so to $parent, and carries it to its end.
sub call {
    my ($parent) = @_;
    my $pid = open2(
        my $in, my $out, 'openssl', 's_client', '-quiet', '-verify_quiet', '-connect', untainted($ENV{SLIPWAY_WAY_TO}),
        '-servername', untainted($ENV{SLIPWAY_WAY_NAME}), '-verify_hostname', untainted($ENV{SLIPWAY_WAY_NAME}),
        '-CAfile', $CA, '-verify_return_error'
    );
    write_all($out, "$ENV{SLIPWAY_WAY_TOKEN}\n");
    my $heard = time;
    while (1) {
        if (IO::Select->new($in)->can_read($BEAT)) {
            exit 1 unless sysread($in, my $byte, 1);
            $heard = time;
            last if $byte eq '+';
        }
        exit 1 if time - $heard > $DEAF;
        write_all($out, '.');
    }
    write_all($parent, pack('N', $$));
    my $engine = IO::Socket::UNIX->new(Type => SOCK_STREAM, Peer => untainted($ENV{SLIPWAY_WAY_SOCKET}));
    write_all($out, '+');
    $SIG{TERM} = sub { kill 'TERM', $pid; exit 0 };
    join_both($in, $out, $engine) if $engine;
    kill 'TERM', $pid;
    exit 0;
}

$SIG{PIPE} = 'IGNORE';
$SIG{TERM} = sub { $SIG{TERM} = 'IGNORE'; kill 'TERM', -$$; exit 0 };
setpgrp;
open(my $file, '>', $CA) or die "no $CA: $!";
print {$file} $ENV{SLIPWAY_WAY_CA};
close $file;
pipe(my $told, my $tell) or die "no pipe: $!";
my %waiting;
while (1) {
    while (keys %waiting < $WAITING) {
        my $pid = fork;
        if (defined $pid && $pid == 0) {
            $SIG{TERM} = 'DEFAULT';
            call($tell);
        }
        if ($pid) { $waiting{$pid} = 1 }
        else      { sleep $PAUSE }
    }
    if (IO::Select->new($told)->can_read($PAUSE)) {    # one was taken, and another has to wait in its place
        sysread $told, my $pids, 4096;
        delete @waiting{ unpack '(N)*', $pids };
    }
    while ((my $gone = waitpid(-1, 1)) > 0) { sleep $PAUSE if delete $waiting{$gone} }
}
