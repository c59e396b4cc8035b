// An object is destroyed while another thread calls its virtual function.
#include <pthread.h>
#include <unistd.h>

struct Base {
    virtual void work() {}
    virtual ~Base() { sleep(1); }
};
struct Derived : Base {
    void work() override {}
};

static void *calls(void *object)
{
    static_cast<Base *>(object)->work();
    return nullptr;
}

int main()
{
    pthread_t other;
    Base *object = new Derived;
    pthread_create(&other, nullptr, calls, object);
    delete object;
    pthread_join(other, nullptr);
}
