/* A file is closed by one thread while another reads from it. */
#include <fcntl.h>
#include <pthread.h>
#include <unistd.h>

static int file;

static void *reads(void *nothing)
{
    char byte;
    return read(file, &byte, 1) < 0 ? nothing : NULL;
}

int main(void)
{
    pthread_t other;
    file = open("/dev/zero", O_RDONLY);
    pthread_create(&other, NULL, reads, NULL);
    sleep(1);
    close(file);
    pthread_join(other, NULL);
    return 0;
}
