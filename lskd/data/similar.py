"""Which classes of small published sets are similar: CIFAR-100's superclasses as published, of others stated groups."""

_GROUPS = {  # "family: its classes"; a class that stands nowhere is alone
    "cifar10": """
        pets: cat dog
        hoofed animals: deer horse
        road vehicles: automobile truck
    """,
    "cifar100": """
        aquatic mammals: beaver dolphin otter seal whale
        fish: aquarium_fish flatfish ray shark trout
        flowers: orchid poppy rose sunflower tulip
        food containers: bottle bowl can cup plate
        fruit and vegetables: apple mushroom orange pear sweet_pepper
        household electrical devices: clock keyboard lamp telephone television
        household furniture: bed chair couch table wardrobe
        insects: bee beetle butterfly caterpillar cockroach
        large carnivores: bear leopard lion tiger wolf
        large man-made outdoor things: bridge castle house road skyscraper
        large natural outdoor scenes: cloud forest mountain plain sea
        large omnivores and herbivores: camel cattle chimpanzee elephant kangaroo
        medium-sized mammals: fox porcupine possum raccoon skunk
        non-insect invertebrates: crab lobster snail spider worm
        people: baby boy girl man woman
        reptiles: crocodile dinosaur lizard snake turtle
        small mammals: hamster mouse rabbit shrew squirrel
        trees: maple_tree oak_tree palm_tree pine_tree willow_tree
        vehicles 1: bicycle bus motorcycle pickup_truck train
        vehicles 2: lawn_mower rocket streetcar tank tractor
    """,
    "fashion_mnist": """
        tops: T-shirt/top Pullover Coat Shirt
        shoes: Sandal Sneaker Ankle_boot
    """,
}


def families(dataset: str, classes: tuple[str, ...]) -> tuple[str, ...]:
    """The family of each class, its own name for one that is alone; none of a data set where nothing is stated."""
    if dataset not in _GROUPS:
        return ()
    family_of: dict[str, str] = {}
    for line in _GROUPS[dataset].strip().splitlines():
        family, _, names = line.strip().partition(": ")
        family_of |= dict.fromkeys(names.split(), family)
    return tuple(family_of.get(name.replace(" ", "_"), name) for name in classes)
